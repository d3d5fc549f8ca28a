//! What lies beside a client class's certificate: configuration to paste.

use std::collections::BTreeMap;

use crate::config::AMQPS;

/// The component that Secrets of client classes are labelled with.
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

/// What to paste into a sidecar's, collectd's or statsd's configuration.
#[must_use]
pub fn client_files(client: &ClientOf) -> BTreeMap<String, String> {
    [("sidecar.yaml", sidecar(client)), ("collectd.conf", collectd(client)), ("statsd.js", statsd(client))]
        .map(|(file, text)| (file.to_owned(), text))
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
