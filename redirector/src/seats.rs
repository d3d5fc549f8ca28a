//! Places for those who are not known yet: so many in all, and so many for one address.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

use prometheus_client::metrics::gauge::Gauge;

/// Who has a place.
#[derive(Debug)]
pub(crate) struct Seats {
    all: u32,
    each: u32,
    taken: Mutex<HashMap<IpAddr, u32>>,
    occupied: Gauge,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Arc<Seats>,
    whose: IpAddr,
}

impl Seats {
    /// So many in `all`, and of them so many for `each` address; `occupied` tells how many are taken.
    pub(crate) fn new(all: u32, each: u32, occupied: Gauge) -> Arc<Self> {
        Arc::new(Self { all, each, taken: Mutex::default(), occupied })
    }

    /// A place for this address, if there is one.
    pub(crate) fn sit(self: &Arc<Self>, whose: IpAddr) -> Option<Seat> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let all = taken.values().sum::<u32>();
        let own = taken.get(&whose).copied().unwrap_or_default();
        if all >= self.all || own >= self.each {
            return None;
        }
        taken.insert(whose, own + 1);
        self.occupied.inc();
        Some(Seat { seats: Arc::clone(self), whose })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.occupied.dec();
        let mut taken = self.seats.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = taken.get_mut(&self.whose) {
            *number -= 1;
            if *number == 0 {
                taken.remove(&self.whose);
            }
        }
    }
}

/// Whom an address stands for: a household has a /64 of IPv6 (RFC 6177), and could use any address of it.
pub(crate) fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_so_many_in_all_and_so_many_for_each() {
        let occupied = Gauge::default();
        let seats = Seats::new(3, 2, occupied.clone());
        let [one, other, third] = [1, 2, 3].map(|last| IpAddr::from([192, 0, 2, last]));
        let mut sitting: Vec<Seat> =
            [one, one, other].into_iter().map(|who| seats.sit(who).unwrap()).collect();
        assert_eq!(occupied.get(), 3);
        assert!(seats.sit(third).is_none(), "all are taken");
        sitting.pop();
        assert!(seats.sit(one).is_none(), "it has its share");
        sitting.push(seats.sit(third).unwrap());
        drop(sitting);
        assert_eq!(occupied.get(), 0);
        assert!(seats.taken.lock().unwrap().is_empty(), "who has gone, or was refused, is forgotten");
    }

    #[test]
    fn addresses_of_a_household_are_one() {
        let of = |text: &str| household(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
