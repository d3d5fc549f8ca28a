//! Addresses to listen on, as flags spell them.

use std::{net::SocketAddr, str::FromStr};

/// Where statsd lines come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Statsd {
    /// UDP packets to this address.
    Udp(SocketAddr),
    /// Standard input.
    Stdin,
    /// Nowhere.
    Off,
}

impl FromStr for Statsd {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "-" {
            return Ok(Self::Stdin);
        }
        Ok(match text.parse()? {
            Listen::At(address) => Self::Udp(address),
            Listen::Off => Self::Off,
        })
    }
}

/// Where to listen, if at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listen {
    /// At this address.
    At(SocketAddr),
    /// Nowhere.
    Off,
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let full = if let Some(port) = text.strip_prefix(':') {
            format!("127.0.0.1:{port}")
        } else {
            text.to_owned()
        };
        let full = full.replace("localhost:", "127.0.0.1:");
        full.parse()
            .map(Self::At)
            .map_err(|_| format!("`{text}` is no address: write IP:PORT, such as 127.0.0.1:8125, or off"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!("-".parse(), Ok(Statsd::Stdin));
        assert_eq!("off".parse(), Ok(Statsd::Off));
        assert_eq!("localhost:1".parse(), Ok(Statsd::Udp(SocketAddr::from(([127, 0, 0, 1], 1)))));
        assert_eq!(":9".parse(), Ok(Listen::At(SocketAddr::from(([127, 0, 0, 1], 9)))));
        assert!("nowhere".parse::<Listen>().unwrap_err().contains("IP:PORT"));
    }
}
