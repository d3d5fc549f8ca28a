use std::convert::Infallible;

use proptest::{prelude::*, sample::Index};

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn facts(stage: Stage) -> Facts {
    let settle = Duration::from_mins(1);
    Facts { stage, due: at(1000), complete: None, settle, unseen_until: None, asked: false }
}

#[test]
fn each_step_has_its_time() {
    let settled = facts(Stage::Settled);
    assert_eq!(settled.next(at(999)), Next::At(Step::Trusted, at(1000)));
    assert_eq!(settled.next(at(1000)), Next::Take(Step::Trusted));
    assert_eq!(Facts { asked: true, ..settled }.next(at(1)), Next::Take(Step::Trusted));

    let trusted = facts(Stage::Trusted);
    assert_eq!(Facts { asked: true, ..trusted }.next(at(5000)), Next::Waits(Step::Used), "whoever asks");
    let complete = Facts { complete: Some(at(100)), ..trusted };
    assert_eq!(complete.next(at(159)), Next::At(Step::Used, at(160)));
    assert_eq!(complete.next(at(160)), Next::Take(Step::Used));
    assert_eq!(Facts { asked: true, ..complete }.next(at(101)), Next::Take(Step::Used));

    let used = Facts { complete: Some(at(100)), unseen_until: Some(at(500)), ..facts(Stage::Used) };
    assert_eq!(used.next(at(160)), Next::At(Step::Removed, at(500)));
    assert_eq!(used.next(at(500)), Next::Take(Step::Removed));
    let seen = Facts { unseen_until: None, ..used };
    assert_eq!(seen.next(at(160)), Next::Take(Step::Removed));
}

#[test]
fn two_thirds_of_a_life() {
    assert_eq!(two_thirds(at(100), at(400)), at(300));
}

/// How long a certificate lives here, and how long those who follow their Secret take at most.
const LIFE: i64 = 200;
const SETTLE: i64 = 20;

#[derive(Clone, Debug, PartialEq)]
struct Leaf {
    issuer: u32,
    until: i64,
}

/// What a Secret holds, or what is in use.
#[derive(Clone, Debug, PartialEq)]
struct Holding {
    trust: Vec<u32>,
    leaf: Leaf,
}

/// Somebody with a Secret: what it says and since when, and what is in use.
#[derive(Clone, Debug, PartialEq)]
struct Peer {
    secret: Holding,
    written: i64,
    used: Holding,
}

#[derive(Clone, Debug)]
enum Event {
    /// Time passes.
    Pass(i64),
    /// A peer's Secret is reconciled.
    Reconcile(Index),
    /// A peer takes up what its Secret says, sooner than it must.
    TakeUp(Index),
    /// Somebody copies a peer's certificate to where nobody sees it.
    Copy(Index),
    /// There is one more peer.
    Join,
    /// The rotation is looked at; whether somebody asks for it to begin.
    Look(bool),
}

struct World {
    now: i64,
    authorities: Authorities<u32>,
    newest: u32,
    begun: i64,
    complete: Option<i64>,
    peers: Vec<Peer>,
    copies: Vec<Leaf>,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            now: 0,
            authorities: Authorities::Settled(0),
            newest: 0,
            begun: 0,
            complete: None,
            peers: Vec::new(),
            copies: Vec::new(),
        };
        world.join();
        world
    }

    fn issued(&self) -> Holding {
        let leaf = Leaf { issuer: *self.authorities.issuing(), until: self.now + LIFE };
        Holding { trust: self.authorities.trusted().copied().collect(), leaf }
    }

    fn join(&mut self) {
        let holding = self.issued();
        self.peers.push(Peer { secret: holding.clone(), written: self.now, used: holding });
    }

    fn reconcile(&mut self, at: usize) {
        let mut wanted = self.issued();
        let (now, peer) = (self.now, &mut self.peers[at]);
        let young = now < peer.secret.leaf.until - LIFE / 3;
        if young && peer.secret.leaf.issuer == wanted.leaf.issuer {
            wanted.leaf = peer.secret.leaf.clone();
        }
        if wanted != peer.secret {
            (peer.secret, peer.written) = (wanted, now);
        }
    }

    /// As the operator looks: whether all Secrets are as they should be, since when, and what follows.
    fn look(&mut self, asked: bool) {
        let trust: Vec<u32> = self.authorities.trusted().copied().collect();
        let (issuer, stage) = (*self.authorities.issuing(), self.authorities.stage());
        let taken_up = |peer: &Peer| {
            peer.secret.trust == trust && (stage == Stage::Trusted || peer.secret.leaf.issuer == issuer)
        };
        let all = self.peers.iter().all(taken_up);
        self.complete = all.then(|| self.complete.unwrap_or(self.now));
        let facts = Facts {
            stage,
            due: Timestamp::MAX,
            complete: self.complete.map(at),
            settle: Duration::from_secs(SETTLE.unsigned_abs()),
            unseen_until: (stage == Stage::Used).then(|| at(self.begun + LIFE)),
            // A person who hurries it takes what follows upon themselves.
            asked: asked && stage == Stage::Settled,
        };
        if let Next::Take(step) = facts.next(at(self.now)) {
            assert_eq!(step, stage.next());
            self.newest += u32::from(step == Step::Trusted);
            let newest = self.newest;
            self.authorities = self.authorities.clone().advanced(|| Ok::<_, Infallible>(newest)).unwrap();
            (self.begun, self.complete) = (self.now, None);
        }
    }

    fn pass(&mut self, seconds: i64) {
        for _ in 0..seconds {
            self.now += 1;
            for peer in &mut self.peers {
                if self.now >= peer.written + SETTLE {
                    peer.used = peer.secret.clone();
                }
            }
        }
    }

    fn happens(&mut self, event: &Event) {
        let which = |index: &Index| index.index(self.peers.len());
        match event {
            Event::Pass(seconds) => self.pass(*seconds),
            Event::Reconcile(index) => self.reconcile(which(index)),
            Event::TakeUp(index) => {
                let at = which(index);
                self.peers[at].used = self.peers[at].secret.clone();
            }
            Event::Copy(index) => self.copies.push(self.peers[which(index)].used.leaf.clone()),
            Event::Join => self.join(),
            Event::Look(asked) => self.look(*asked),
        }
    }

    /// The first living certificate that somebody would refuse.
    fn refused(&self) -> Option<(&Leaf, &Peer)> {
        let leaves = self.peers.iter().map(|peer| &peer.used.leaf).chain(&self.copies);
        let mut living = leaves.filter(|leaf| leaf.until > self.now);
        living.find_map(|leaf| {
            let refuses = |peer: &&Peer| !peer.used.trust.contains(&leaf.issuer);
            self.peers.iter().find(refuses).map(|peer| (leaf, peer))
        })
    }
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (1..SETTLE * 2).prop_map(Event::Pass),
        1 => (LIFE / 4..LIFE).prop_map(Event::Pass),
        6 => any::<Index>().prop_map(Event::Reconcile),
        2 => any::<Index>().prop_map(Event::TakeUp),
        1 => any::<Index>().prop_map(Event::Copy),
        1 => Just(Event::Join),
        6 => any::<bool>().prop_map(Event::Look),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// Whatever happens in whatever order, the operator dead for any while between: whoever holds a certificate that lives is believed by everybody.
    #[test]
    fn nobody_is_ever_refused(events in prop::collection::vec(event(), 1..120)) {
        let mut world = World::new();
        for event in &events {
            world.happens(event);
            prop_assert_eq!(world.refused(), None, "after {:?} at {}", event, world.now);
        }
    }
}

#[test]
fn a_rotation_comes_to_its_end() {
    let mut world = World::new();
    world.look(true);
    for _ in 0..LIFE {
        world.pass(5);
        world.reconcile(0);
        world.look(false);
    }
    assert_eq!(world.authorities, Authorities::Settled(1));
    assert_eq!(world.peers[0].secret.leaf.issuer, 1);
}
