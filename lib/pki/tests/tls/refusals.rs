//! Who is not let in, and why.

use std::sync::Arc;

use jiff::{Timestamp, ToSpan};
use kinetic_pki::{Authority, ClientAuth, ServerIdentity, Subject};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair, SanType};

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

/// What no authority of ours issues: a server's certificate for `localhost` with these URIs.
fn forged(authority: &Authority, uris: &[&str]) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.subject_alt_names.extend(uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())));
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let own = KeyPair::from_pem(&authority.key_pem()).unwrap();
    let issuer = Issuer::from_ca_cert_pem(authority.certificate(), own).unwrap();
    (params.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem())
}

#[tokio::test]
async fn a_server_with_the_right_name_and_somebody_else_s_identity() {
    let authority = authority();
    let door = ServerIdentity::Named("spiffe://kinetic.local/redirector".parse().unwrap());
    let client = Holder::of(&authority, web()).client_of(door).config();
    let meets = async |uris: &[&str], name| {
        let holder = Holder::new(forged(&authority, uris), authority.certificate());
        meet_as(holder.server(ClientAuth::Optional).config(), Arc::clone(&client), name).await
    };
    let web = "spiffe://kinetic.local/customers/acme/clients/web";
    let refusals: [(&[&str], &str); 5] = [
        (
            &[web],
            "the server is not spiffe://kinetic.local/redirector: its certificate is spiffe://kinetic.local/customers/acme/clients/web's",
        ),
        (&["spiffe://kinetic.local/alert"], "/alert's"),
        (&["spiffe://kinetic.local/no/such/thing"], "nobody's"),
        (&["spiffe://KINETIC.local/redirector"], "nobody's"),
        (&["spiffe://kinetic.local/redirector", web], "nobody's"),
    ];
    for (uris, reason) in refusals {
        let refused = meets(uris, "localhost").await.err().unwrap();
        assert!(refused.by_client.contains(reason), "{uris:?}: {refused:?}");
    }
    // Whom the name alone tells: nobody of ours.
    let others: [&[&str]; 4] = [
        &[],
        &["https://kinetic.local/x"],
        &["spiffe://cluster.local/ns/mesh/sa/rabbit"],
        &["spiffe://kinetic.local.example/customers/acme/clients/web"],
    ];
    for uris in others.into_iter().chain([&["spiffe://kinetic.local/redirector"][..]]) {
        meets(uris, "localhost").await.unwrap();
        let refused = meets(uris, "elsewhere.example").await.err().unwrap();
        assert!(refused.by_client.contains("not valid for name"), "{uris:?}: {refused:?}");
    }
}
