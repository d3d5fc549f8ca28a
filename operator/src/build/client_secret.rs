//! A client class's certificate, with configuration to paste.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret};

use super::labels::{self, Owned};
use crate::{config::AMQPS, leaf::Pair};

/// The component that such Secrets are labelled with.
pub const COMPONENT: &str = "client";

/// A client class of a customer.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientOf {
    /// The customer.
    pub customer: String,
    /// Its vhost.
    pub vhost: String,
    /// The class.
    pub client: String,
    /// The label that its messages carry.
    pub profile: String,
    /// The front door.
    pub host: String,
}

/// What the Secret is called: `acme-client-web`.
#[must_use]
pub fn name(customer: &str, client: &str) -> String {
    format!("{customer}-client-{client}")
}

/// The Secret: `tls.crt`, `tls.key`, `ca.crt`, and what to paste into a sidecar's, collectd's or statsd's configuration.
#[must_use]
pub fn client_secret(client: &ClientOf, pair: &Pair, trust: &str, owner: &Owned) -> Secret {
    let mut data = tls(pair, trust);
    for (file, text) in [
        ("sidecar.yaml", sidecar(client)),
        ("collectd.conf", collectd(client)),
        ("statsd.js", statsd(client)),
    ] {
        data.insert(file.to_owned(), ByteString(text.into_bytes()));
    }
    Secret {
        metadata: labels::owned(name(&client.customer, &client.client), COMPONENT, &client.customer, owner),
        type_: Some("kubernetes.io/tls".to_owned()),
        data: Some(data),
        ..Secret::default()
    }
}

/// A certificate, its key and whom to trust, as cert-manager spells them too.
#[must_use]
pub fn tls(pair: &Pair, trust: &str) -> BTreeMap<String, ByteString> {
    let bytes = |text: &str| ByteString(text.as_bytes().to_vec());
    [("tls.crt", &*pair.certificate), ("tls.key", &*pair.key), ("ca.crt", trust)]
        .map(|(key, text)| (key.to_owned(), bytes(text)))
        .into()
}

fn sidecar(ClientOf { vhost, profile, host, .. }: &ClientOf) -> String {
    format!(
        "# kinetic sidecar --config sidecar.yaml, beside tls.crt, tls.key and ca.crt; then send statsd to 127.0.0.1:8125.\n\
         upstream: {{address: \"{host}:{AMQPS}\", vhost: {vhost}, cert: tls.crt, key: tls.key, ca: ca.crt}}\n\
         profile: {profile}\n\
         spool: {{directory: /var/spool/kinetic, size: 256Mi, maxAge: 24h}}\n"
    )
}

fn collectd(ClientOf { vhost, client, profile, host, .. }: &ClientOf) -> String {
    format!(
        "# collectd.conf, with the files in /etc/collectd/kinetic. The certificate says who it is: any password does, and HOSTNAME is this machine's.\n\
         LoadPlugin amqp\n\
         <Plugin amqp>\n  <Publish \"kinetic\">\n    Host \"{host}\"\n    Port \"{AMQPS}\"\n    VHost \"{vhost}\"\n    \
         User \"{client}\"\n    Password \"unused\"\n    Exchange \"kinetic.metrics\"\n    RoutingKey \"collectd.{profile}.HOSTNAME\"\n    \
         Persistent true\n    Format JSON\n    TLSEnabled true\n    TLSVerifyPeer true\n    TLSVerifyHostName true\n    \
         TLSCACert \"/etc/collectd/kinetic/ca.crt\"\n    TLSClientCert \"/etc/collectd/kinetic/tls.crt\"\n    \
         TLSClientKey \"/etc/collectd/kinetic/tls.key\"\n  </Publish>\n</Plugin>\n"
    )
}

fn statsd(_: &ClientOf) -> String {
    "// statsd: run the sidecar of sidecar.yaml beside it, and let it repeat what it gets.\n\
     {\n  port: 8126,\n  backends: [\"./backends/repeater\"],\n  repeater: [{ host: \"127.0.0.1\", port: 8125 }]\n}\n"
        .to_owned()
}
