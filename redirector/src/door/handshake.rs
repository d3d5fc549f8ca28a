//! A client's way in: who it is, where it may go, and the broker there opened for it.

use std::{net::SocketAddr, sync::Arc};

use kinetic_pki::Peer;

use super::{
    Door,
    account::Seat,
    broker::{Broker, Greeted, LoggedIn},
    properties::{self, Announced},
    refusal::Refusal,
    routes::{Admission, Who},
    sasl,
    wire::{Wire, WireError},
};
use crate::amqp::{Method, PROTOCOL_HEADER, Start, Tune, table::TableBuf};

/// A client that is in.
#[derive(Debug)]
pub struct Session {
    /// The broker's end.
    pub broker: Wire,
    /// Who came.
    pub who: Who,
    /// Where to, and as what.
    pub admission: Admission,
    /// Its place among its customer's connections.
    pub seat: Seat,
    /// What it told.
    pub announced: Announced,
    /// What both sides agreed upon.
    pub tune: Tune,
    /// Seconds between heartbeats to the broker.
    pub broker_heartbeat: u16,
}

/// How far a handshake came: what a refusal is answered with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// Nothing that AMQP could be spoken on.
    #[default]
    Header,
    /// Close may be sent (the client has presented itself).
    Opening {
        /// The method that would be refused.
        cause: (u16, u16),
    },
}

/// Where a way leads to, known once the customer is.
struct Way<'a> {
    admission: Admission,
    seat: Seat,
    broker: Greeted<'a>,
}

/// Leads a client in. `stage` says at any time how far it came.
pub async fn welcome(
    door: &Door,
    client: &mut Wire,
    address: SocketAddr,
    peer: Option<Peer>,
    stage: &mut Stage,
) -> Result<Session, WireError> {
    if !client.protocol_header().await? {
        // "The server MUST respond to an invalid protocol header with a valid one" (2.2.4).
        client.leg.send_all(&PROTOCOL_HEADER).await?;
        return Err(Refusal::Protocol.into());
    }
    let brokers = door.brokers();
    let routes = door.routes();
    // Who it is may be told only after StartOk; until then a refusal is kept.
    let way = match &peer {
        None => Ok(None),
        Some(peer) => match routes.admit(peer) {
            Ok(Some(admission)) => to(door, &brokers, admission, address).await.map(Some),
            Ok(None) => Ok(None),
            Err(refusal) => Err(refusal),
        },
    };
    let ours = own_properties();
    let theirs = way.as_ref().ok().and_then(Option::as_ref).and_then(|way| way.broker.server_properties());
    let start = Start {
        version: (0, 9),
        server_properties: theirs.unwrap_or_else(|| ours.as_table()),
        mechanisms: if peer.is_some() { sasl::WITH_CERTIFICATE } else { sasl::WITHOUT },
        locales: b"en_US",
    };
    client.leg.send_all(&Method::Start(start).frame()).await?;

    let payload = client.method().await?;
    let Method::StartOk(ok) = read(&payload)? else { return Err(WireError::unexpected(&payload)) };
    let announced = Announced::read(ok.client_properties).map_err(Refusal::from)?;
    *stage = Stage::Opening { cause: (10, 11) };
    let mut way = way?;
    let who = if let Some(peer) = peer {
        sasl::agrees(&peer.identity, ok.mechanism, ok.response)?;
        Who::Certified(Box::new(peer))
    } else {
        let plain = (ok.mechanism == "PLAIN").then(|| sasl::Plain::read(ok.response)).flatten();
        let plain = plain.filter(|plain| !plain.user.is_empty()).ok_or(Refusal::NoIdentity)?;
        let (who, admission) = routes.admit_key(plain.user, plain.password, &door.api_keys())?;
        way = Some(to(door, &brokers, admission, address).await?);
        who
    };
    let subject = match &who {
        Who::Certified(peer) => Some(&peer.identity.subject),
        Who::Key { .. } => None,
    };
    let handed_on = properties::handed_on(ok.client_properties, subject, &who.name(), &address.to_string())?;

    let mut opening = match way {
        Some(way) => Some(log_in(door, way, &handed_on).await?),
        None => None,
    };
    let offer = opening.as_ref().map_or(door.tune(), |(_, _, broker)| broker.offer.smaller(door.tune()));
    client.leg.send_all(&Method::Tune(offer).frame()).await?;

    let payload = client.method().await?;
    let Method::TuneOk(asked) = read(&payload)? else { return Err(WireError::unexpected(&payload)) };
    *stage = Stage::Opening { cause: (10, 31) };
    let tune = agreed(offer, asked)?;

    let payload = client.method().await?;
    let Method::Open(open) = read(&payload)? else { return Err(WireError::unexpected(&payload)) };
    *stage = Stage::Opening { cause: (10, 40) };
    if opening.is_none() {
        // Who serves all customers names one by its vhost.
        let Who::Certified(peer) = &who else { return Err(Refusal::NoIdentity.into()) };
        let admission = routes.admit_to(peer, open.vhost)?;
        opening = Some(log_in(door, to(door, &brokers, admission, address).await?, &handed_on).await?);
    }
    let Some((admission, seat, broker)) = opening else { return Err(Refusal::NoIdentity.into()) };
    if open.vhost != admission.customer.vhost {
        return Err(Refusal::Vhost {
            asked: open.vhost.to_owned(),
            identity: who.name(),
            theirs: Some(admission.customer.vhost.clone()),
        }
        .into());
    }
    let allowed = broker.offer.smaller(tune);
    if (allowed.frame_max, allowed.channel_max) != (tune.frame_max, tune.channel_max) {
        let reason =
            "it allows smaller frames, or fewer channels, than were agreed upon with the client".to_owned();
        return Err(Refusal::BrokerRefused { broker: admission.customer.broker.clone(), reason }.into());
    }
    // Its own, so that a client that sends none costs no connection.
    let broker_heartbeat = if tune.heartbeat == 0 { door.tune().heartbeat } else { tune.heartbeat };
    let broker = broker.open(Tune { heartbeat: broker_heartbeat, ..tune }, &admission.customer.vhost).await?;
    client.leg.send_all(&Method::OpenOk.frame()).await?;
    Ok(Session { broker, who, admission, seat, announced, tune, broker_heartbeat })
}

/// Takes a seat, and has the broker present itself.
async fn to<'a>(
    door: &Door,
    brokers: &'a super::Brokers,
    admission: Admission,
    address: SocketAddr,
) -> Result<Way<'a>, Refusal> {
    let route = &admission.customer;
    let seat = door.accounts().of(route).sit(&route.name, &route.limits)?;
    let broker: &Arc<Broker> =
        brokers.get(&route.broker).ok_or_else(|| Refusal::BrokerAway(route.broker.clone()))?;
    let broker = broker.greet(address).await?;
    Ok(Way { admission, seat, broker })
}

async fn log_in<'a>(
    door: &Door,
    Way { admission, seat, broker }: Way<'a>,
    properties: &TableBuf,
) -> Result<(Admission, Seat, LoggedIn<'a>), Refusal> {
    let vhost = &admission.customer.vhost;
    let (user, password) = door.credentials().of(&admission.role, vhost);
    let broker = broker.log_in(properties.as_table(), &user, &password).await?;
    Ok((admission, seat, broker))
}

/// What both sides keep to. More than was offered is refused (specification 1.4.2.6); no limit means the offered one.
fn agreed(offer: Tune, asked: Tune) -> Result<Tune, Refusal> {
    let tune = Tune { heartbeat: asked.heartbeat, ..asked.smaller(offer) };
    let more = |asked: u32, offered: u32| offered != 0 && asked > offered;
    if more(asked.frame_max, offer.frame_max)
        || more(asked.channel_max.into(), offer.channel_max.into())
        || (asked.frame_max != 0 && asked.frame_max < 4096)
    {
        return Err(Refusal::Tune { frame_max: asked.frame_max, channel_max: asked.channel_max });
    }
    Ok(tune)
}

fn read(payload: &[u8]) -> Result<Method<'_>, Refusal> {
    Method::read(payload).map_err(Refusal::from)
}

/// What is said to those whose broker is not known, or away.
fn own_properties() -> TableBuf {
    let capabilities = ["publisher_confirms", "basic.nack", "consumer_cancel_notify", "connection.blocked"]
        .into_iter()
        .chain(["authentication_failure_close", "exchange_exchange_bindings", "per_consumer_qos"])
        .fold(TableBuf::default(), |table, name| table.bool(name, true));
    TableBuf::default()
        .text("product", "Kinetic")
        .text("version", env!("CARGO_PKG_VERSION"))
        .table("capabilities", &capabilities)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_takes_what_is_offered_or_less() {
        let offer = Tune { channel_max: 2047, frame_max: 131_072, heartbeat: 60 };
        let asked =
            |channel_max, frame_max, heartbeat| agreed(offer, Tune { channel_max, frame_max, heartbeat });
        assert_eq!(asked(0, 0, 0), Ok(Tune { heartbeat: 0, ..offer }));
        assert_eq!(asked(10, 4096, 580), Ok(Tune { channel_max: 10, frame_max: 4096, heartbeat: 580 }));
        assert!(matches!(asked(2048, 4096, 0), Err(Refusal::Tune { .. })));
        assert!(matches!(asked(1, 131_073, 0), Err(Refusal::Tune { .. })));
        assert!(matches!(asked(1, 100, 0), Err(Refusal::Tune { .. })));
    }
}
