use std::{fs, time};

use jiff::Timestamp;
use kinetic_pki::{Authority, Leaf, PrivateKey};
use tempfile::TempDir;

use super::*;

/// A folder with `tls.crt` of this subject, and what else a sidecar needs.
fn folder(subject: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    let domain = "kinetic.local".parse().unwrap();
    let authority = Authority::generate(&domain, time::Duration::from_hours(2), Timestamp::now()).unwrap();
    let identity: kinetic_pki::Identity =
        format!("spiffe://kinetic.local/customers/acme/{subject}").parse().unwrap();
    let key = PrivateKey::generate().unwrap();
    let leaf = Leaf::new(identity.subject, time::Duration::from_hours(1));
    let issued = authority.issue(&leaf, key.public(), Timestamp::now()).unwrap();
    fs::write(folder.path().join("tls.crt"), issued.certificate).unwrap();
    folder
}

fn read(folder: &TempDir, text: &str, flags: SidecarArgs) -> anyhow::Result<Settings> {
    let config = folder.path().join("sidecar.yaml");
    fs::write(&config, text).unwrap();
    Settings::read(SidecarArgs { config: Some(config), ..flags })
}

const WHOLE: &str =
    "upstream: {address: 'door:5671', vhost: us-west.aws.acme, cert: tls.crt, key: tls.key, ca: ca.crt}\n";

#[test]
fn the_certificate_says_what_nobody_else_does() {
    let folder = folder("clients/web/machines/web-1.acme.example");
    let settings = read(&folder, WHOLE, SidecarArgs::default()).unwrap();
    let SidecarConfig { statsd, profile, origin, batch_bytes, spool, .. } = settings.relay;
    assert_eq!((&*profile, origin.to_string().as_str()), ("web", "web-1.acme.example"));
    assert_eq!((statsd, batch_bytes, spool), (Some("127.0.0.1:8125".parse().unwrap()), 32 * 1024, None));
    let identity = settings.files.identity.unwrap();
    assert_eq!(identity.certificate, folder.path().join("tls.crt"), "relative to the file");
}

#[test]
fn flags_win_over_the_file_and_the_file_over_the_certificate() {
    let folder = folder("clients/web");
    let text = format!(
        "{WHOLE}statsd: off\norigin: file\nprofile: other\nadmin: 127.0.0.1:1\nstatsdSocket: s.socket\nstatsdStreamSocket: t.socket\n\
         batch: {{size: 1Ki, age: 1s}}\nspool: {{directory: spool, size: 2Mi, maxAge: 1h}}\n"
    );
    let settings = read(&folder, &text, SidecarArgs::default()).unwrap();
    let relay = settings.relay;
    assert_eq!((relay.statsd, relay.origin.to_string().as_str(), &*relay.profile), (None, "file", "other"));
    assert_eq!((relay.batch_bytes, relay.batch_age), (1024, time::Duration::from_secs(1)));
    let expected = SpoolConfig {
        directory: folder.path().join("spool"),
        size: 2 << 20,
        max_age: time::Duration::from_hours(1),
    };
    assert_eq!(relay.spool, Some(expected));
    let at = |name| Some(folder.path().join(name));
    assert_eq!((relay.statsd_socket, relay.statsd_stream_socket), (at("s.socket"), at("t.socket")));
    assert_eq!(settings.front_door.to_string(), "spiffe://kinetic.local/redirector");
    let flags = SidecarArgs {
        origin: Some("flag".parse().unwrap()),
        statsd: Some(":9".parse().unwrap()),
        admin: Some(Listen::Off),
        vhost: Some("v".into()),
        ..SidecarArgs::default()
    };
    let settings = read(&folder, &text, flags).unwrap();
    assert_eq!((settings.vhost.as_str(), settings.admin), ("v", None));
    assert_eq!(settings.relay.origin.to_string(), "flag");
    assert_eq!(settings.relay.statsd, Some("127.0.0.1:9".parse().unwrap()));
}

#[test]
fn errors_name_file_field_and_fix() {
    let client = folder("clients/web");
    let no_vhost = WHOLE.replace("vhost: us-west.aws.acme, ", "");
    let no_certificate = WHOLE.replace("tls.crt", "none.crt");
    for (text, says) in [
        (no_vhost.as_str(), ["sidecar.yaml", "upstream.vhost", "--vhost", "KINETIC_VHOST"]),
        (no_certificate.as_str(), ["none.crt", "--cert", "must exist", "No such file"]),
        (&format!("{WHOLE}statsd: somewhere\n"), ["sidecar.yaml", "statsd", "somewhere", "IP:PORT"]),
        (&format!("{WHOLE}origin: 'a b'\n"), ["sidecar.yaml", "origin", "a b", "without spaces"]),
        (&format!("{WHOLE}spoool: {{}}\n"), ["sidecar.yaml", "spoool", "spool", "unknown field"]),
        (&format!("{WHOLE}batch: {{size: 1Gi}}\n"), ["sidecar.yaml", "batch.size", "1073741824", "262144"]),
        (
            &format!("{WHOLE}spool: {{directory: s, size: 1k}}\n"),
            ["sidecar.yaml", "spool.size", "1000", "1Mi"],
        ),
    ] {
        let error = format!("{:#}", read(&client, text, SidecarArgs::default()).unwrap_err());
        for part in says {
            assert!(error.contains(part), "{part} in: {error}");
        }
    }
    let analyzer = folder("topologies/web/analyzers/0");
    let error = format!("{:#}", read(&analyzer, WHOLE, SidecarArgs::default()).unwrap_err());
    assert!(error.contains("--profile") && error.contains("analyzers/0"), "{error}");
}
