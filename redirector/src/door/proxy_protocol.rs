//! The PROXY protocol, version 2 (HAProxy, "The PROXY protocol", section 2.2): by it a broker learns the client's address.

use std::net::{IpAddr, SocketAddr};

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2, command PROXY.
const PROXY: u8 = 0x21;

/// The header for a TCP connection from `client` that came to `here`.
#[must_use]
pub fn version_2(client: SocketAddr, here: SocketAddr) -> Vec<u8> {
    let (family, addresses) = match (client.ip().to_canonical(), here.ip().to_canonical()) {
        (IpAddr::V4(client), IpAddr::V4(here)) => (0x11, [client.octets(), here.octets()].concat()),
        (client, here) => {
            let octets = |address: IpAddr| match address {
                IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
                IpAddr::V6(address) => address.octets(),
            };
            (0x21, [octets(client), octets(here)].concat())
        }
    };
    let length = if family == 0x11 { 12_u16 } else { 36 };
    let mut header = SIGNATURE.to_vec();
    header.extend_from_slice(&[PROXY, family]);
    header.extend_from_slice(&length.to_be_bytes());
    header.extend_from_slice(&addresses);
    header.extend_from_slice(&client.port().to_be_bytes());
    header.extend_from_slice(&here.port().to_be_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_family() {
        let header = version_2("10.1.2.3:40000".parse().unwrap(), "[::ffff:10.0.0.1]:5671".parse().unwrap());
        assert_eq!(header[12..16], [0x21, 0x11, 0, 12]);
        assert_eq!(header[16..], [10, 1, 2, 3, 10, 0, 0, 1, 0x9c, 0x40, 0x16, 0x27]);
        let header = version_2("10.1.2.3:1".parse().unwrap(), "[fd00::1]:2".parse().unwrap());
        assert_eq!(header[12..16], [0x21, 0x21, 0, 36]);
        assert_eq!(header.len(), 16 + 36);
        assert_eq!(header[16..32], "::ffff:10.1.2.3".parse::<std::net::Ipv6Addr>().unwrap().octets());
    }
}
