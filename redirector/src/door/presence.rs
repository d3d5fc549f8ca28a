//! Who is there: what is known of each identity from its connections here. Pure: the clock is the caller's.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    net::IpAddr,
    time::Duration,
};

use jiff::Timestamp;
use kinetic_api::registry::Presence;

/// Who has sent nothing for so long is idle.
const IDLE: Duration = Duration::from_mins(5);
/// So many connections within so long are too many.
const FLAPPING: (usize, Duration) = (5, Duration::from_mins(10));
/// Who has been away for so long is forgotten.
const FORGOTTEN: Duration = Duration::from_hours(7 * 24);
/// So many identities are known at most.
const MOST: usize = 100_000;

/// All that have been seen here.
#[derive(Debug, Default)]
pub struct Attendance(HashMap<String, Seen>);

/// Somebody that has been seen.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Whose.
    pub customer: String,
    /// Whether it is one machine: a class of machines comes from many addresses.
    single: bool,
    /// The addresses of its open connections.
    open: BTreeMap<u64, IpAddr>,
    /// When it connected, the last few times.
    opened: VecDeque<Timestamp>,
    /// When it was last heard of.
    pub last: Timestamp,
}

impl Attendance {
    /// Somebody connects.
    pub fn opens(
        &mut self,
        name: &str,
        customer: &str,
        single: bool,
        connection: (u64, IpAddr),
        now: Timestamp,
    ) {
        if self.0.len() >= MOST && !self.0.contains_key(name) {
            self.forget(now);
        }
        if self.0.len() >= MOST && !self.0.contains_key(name) {
            return;
        }
        let seen = self.0.entry(name.to_owned()).or_insert_with(|| Seen {
            customer: customer.to_owned(),
            single,
            open: BTreeMap::new(),
            opened: VecDeque::new(),
            last: now,
        });
        seen.open.insert(connection.0, connection.1);
        seen.opened.push_back(now);
        if seen.opened.len() > FLAPPING.0 {
            seen.opened.pop_front();
        }
        seen.last = now;
    }

    /// It has sent something.
    pub fn sends(&mut self, name: &str, now: Timestamp) {
        if let Some(seen) = self.0.get_mut(name) {
            seen.last = now;
        }
    }

    /// One of its connections has ended.
    pub fn closes(&mut self, name: &str, connection: u64, now: Timestamp) {
        if let Some(seen) = self.0.get_mut(name) {
            seen.open.remove(&connection);
            seen.last = now;
        }
    }

    /// Everybody, in order of name, and how it stands.
    #[must_use]
    pub fn all(&self, now: Timestamp) -> Vec<(String, Seen, Presence)> {
        let mut all: Vec<_> =
            self.0.iter().map(|(name, seen)| (name.clone(), seen.clone(), seen.presence(now))).collect();
        all.sort_by(|one, other| one.0.cmp(&other.0));
        all
    }

    fn forget(&mut self, now: Timestamp) {
        self.0.retain(|_, seen| !seen.open.is_empty() || within(seen.last, FORGOTTEN, now));
    }
}

impl Seen {
    /// How it stands.
    #[must_use]
    pub fn presence(&self, now: Timestamp) -> Presence {
        let lately = self.opened.iter().filter(|opened| within(**opened, FLAPPING.1, now)).count();
        let mut addresses: Vec<_> = self.open.values().collect();
        addresses.sort_unstable();
        addresses.dedup();
        if self.single && addresses.len() > 1 {
            Presence::Duplicate
        } else if self.single && lately >= FLAPPING.0 {
            Presence::Flapping
        } else if self.open.is_empty() {
            Presence::Offline
        } else if within(self.last, IDLE, now) {
            Presence::Online
        } else {
            Presence::Idle
        }
    }

    /// How many connections it has.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.open.len()
    }
}

fn within(then: Timestamp, span: Duration, now: Timestamp) -> bool {
    now.duration_since(then).unsigned_abs() <= span
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    fn presence(attendance: &Attendance, now: i64) -> Presence {
        attendance.all(at(now))[0].2
    }

    #[test]
    fn online_idle_offline() {
        let mut attendance = Attendance::default();
        attendance.opens("web-1", "acme", true, (1, A), at(0));
        assert_eq!(presence(&attendance, 299), Presence::Online);
        assert_eq!(presence(&attendance, 301), Presence::Idle);
        attendance.sends("web-1", at(400));
        assert_eq!(presence(&attendance, 401), Presence::Online);
        attendance.closes("web-1", 1, at(402));
        assert_eq!(presence(&attendance, 403), Presence::Offline);
    }

    #[test]
    fn one_machine_at_two_addresses() {
        let mut attendance = Attendance::default();
        attendance.opens("web-1", "acme", true, (1, A), at(0));
        attendance.opens("web-1", "acme", true, (2, A), at(0));
        assert_eq!(presence(&attendance, 1), Presence::Online);
        attendance.opens("web-1", "acme", true, (3, B), at(0));
        assert_eq!(presence(&attendance, 1), Presence::Duplicate);
        attendance.closes("web-1", 3, at(2));
        assert_eq!(presence(&attendance, 3), Presence::Online);
        let mut class = Attendance::default();
        class.opens("web", "acme", false, (1, A), at(0));
        class.opens("web", "acme", false, (2, B), at(0));
        assert_eq!(presence(&class, 1), Presence::Online);
    }

    #[test]
    fn five_times_within_ten_minutes() {
        let mut attendance = Attendance::default();
        for n in 0..5 {
            attendance.opens("web-1", "acme", true, (n, A), at(i64::try_from(n).unwrap() * 100));
            attendance.closes("web-1", n, at(i64::try_from(n).unwrap() * 100 + 50));
        }
        assert_eq!(presence(&attendance, 500), Presence::Flapping);
        assert_eq!(presence(&attendance, 700), Presence::Offline);
    }
}
