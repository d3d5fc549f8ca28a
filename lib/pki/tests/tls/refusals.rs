//! Who is not let in, and why.

use std::sync::Arc;

use jiff::{Timestamp, ToSpan};
use kinetic_pki::{ClientAuth, Subject};

use crate::{
    files::{Holder, authority, issue, web},
    handshake::{meet, meet_as},
};

#[tokio::test]
async fn a_client_of_another_authority_or_another_time() {
    let (ours, theirs) = (authority(), authority());
    let door = Holder::of(&ours, Subject::Redirector);
    let now = Timestamp::now();
    let cases = [
        (issue(&theirs, web(), now), "UnknownIssuer"),
        (issue(&ours, web(), now - 2.hours()), "expired"),
        (issue(&ours, web(), now + 1.hour()), "not valid yet"),
    ];
    for (certificate, reason) in cases {
        let client = Holder::new(certificate, ours.certificate()).client();
        for auth in [ClientAuth::Required, ClientAuth::Optional] {
            let refused = meet(door.server(auth).config(), client.config()).await.err().unwrap();
            assert!(refused.by_server.contains(reason), "{reason}: {refused:?}");
        }
    }
}

#[tokio::test]
async fn a_server_of_another_authority_or_another_time_or_name() {
    let (ours, theirs) = (authority(), authority());
    let client = Holder::of(&ours, web()).client().config();
    let now = Timestamp::now();
    let cases = [
        (issue(&theirs, Subject::Redirector, now), "localhost", "UnknownIssuer"),
        (issue(&ours, Subject::Redirector, now - 2.hours()), "localhost", "expired"),
        (issue(&ours, Subject::Redirector, now + 1.hour()), "localhost", "not valid yet"),
        (issue(&ours, Subject::Redirector, now), "elsewhere.example", "not valid for name"),
        (issue(&ours, Subject::Redirector, now), "127.0.0.2", "not valid for name"),
    ];
    for (certificate, name, reason) in cases {
        let server = Holder::new(certificate, ours.certificate()).server(ClientAuth::Required).config();
        let refused = meet_as(server, Arc::clone(&client), name).await.err().unwrap();
        assert!(refused.by_client.contains(reason), "{reason}: {refused:?}");
    }
}

#[tokio::test]
async fn a_client_that_plays_the_server() {
    let authority = authority();
    let thief = Holder::of(&authority, Subject::Alert).server(ClientAuth::Required).config();
    for server in [
        kinetic_pki::ServerIdentity::Name,
        kinetic_pki::ServerIdentity::Spiffe("spiffe://kinetic.local/alert".parse().unwrap()),
    ] {
        let client = Holder::of(&authority, web()).client_of(server).config();
        let refused = meet(Arc::clone(&thief), client).await.err().unwrap();
        assert!(
            refused.by_client.contains("serverAuth") || refused.by_client.contains("server authentication"),
            "{refused:?}"
        );
    }
}
