//! `kinetic pki` as people use it, and as OpenSSL reads what it writes.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

/// An authority's folder in a place of its own.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.ok(&["init"]);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_kinetic"))
            .arg("pki")
            .args(args)
            .env("KINETIC_PKI", self.path("pki"))
            .current_dir(self.0.path())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{args:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.ok(&[args, &["--json"]].concat())).unwrap()
    }

    fn refused(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(!output.status.success(), "{args:?}");
        String::from_utf8(output.stderr).unwrap()
    }
}

const WEB: [&str; 6] = ["issue", "client", "--customer", "acme", "--client", "web"];

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// What OpenSSL says of it; nothing, and it is counted, where it is not installed.
fn openssl(args: &[&str]) -> Option<String> {
    let Ok(output) = Command::new("openssl").args(args).stdin(Stdio::null()).output() else {
        assert!(std::env::var_os("KINETIC_REQUIRE_PEERS").is_none(), "not installed: openssl");
        kinetic_tests::skip("not installed: openssl");
        return None;
    };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{args:?}: {said}");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn init_makes_a_folder_once() {
    let place = Place::new();
    assert_eq!(mode(&place.path("pki")), 0o700);
    assert_eq!(mode(&place.path("pki/ca.key")), 0o600);
    let before = fs::read(place.path("pki/ca.crt")).unwrap();
    let said = place.refused(&["init"]);
    assert!(
        said.contains("pki: there is an authority already") && said.contains("kinetic pki rotate"),
        "{said}"
    );
    assert_eq!(fs::read(place.path("pki/ca.crt")).unwrap(), before);
    let said = place.refused(&["issue", "alert", "--dir", "elsewhere"]);
    assert!(said.contains("elsewhere: there is no authority") && said.contains("kinetic pki init"), "{said}");
    let other = place.ok(&["init", "--dir", "other", "--trust-domain", "acme.example", "--lifetime", "30d"]);
    assert!(other.contains("spiffe://acme.example"), "{other}");
    let shown = place.json(&["inspect", "--dir", "other"]);
    assert_eq!(shown[0]["identity"], "spiffe://acme.example");
    assert_eq!(shown[0]["authority"], true);
    // The second in which it was issued may be over, or not.
    assert!([29, 30].contains(&shown[0]["daysLeft"].as_i64().unwrap()), "{shown}");
}

#[test]
fn every_kind_is_issued() {
    let place = Place::new();
    let of = |args: &[&str]| place.json(&[&["issue"], args].concat());
    let customer = ["--customer", "acme"];
    let cases: [(&[&str], &str, &str); 8] = [
        (&["client", "--client", "web"], "customers/acme/clients/web", "acme.clients.web"),
        (
            &["client", "--client", "web", "--machine", "web-1.acme.example"],
            "customers/acme/clients/web/machines/web-1.acme.example",
            "acme.clients.web.machines.web-1.acme.example",
        ),
        (
            &["analyzer", "--topology", "web", "--partition", "3"],
            "customers/acme/topologies/web/analyzers/3",
            "acme.topologies.web.analyzers.3",
        ),
        (&["control", "--name", "ops"], "customers/acme/control/ops", "acme.control.ops"),
        (&["redirector", "--dns", "a.example", "b.example", "--ip", "192.0.2.7"], "redirector", "redirector"),
        (&["alert"], "alert", "alert"),
        (&["operator"], "operator", "operator"),
        (&["console"], "console", "console"),
    ];
    for (args, path, name) in cases {
        let customer = if path.starts_with("customers/") { &customer[..] } else { &[] };
        let issued = of(&[args, customer].concat());
        assert_eq!(issued["identity"], format!("spiffe://kinetic.local/{path}"));
        let file = |extension: &str| place.path(&format!("pki/issued/{name}.{extension}"));
        assert_eq!(issued["certificate"], file("crt").to_str().unwrap());
        assert_eq!(mode(&file("key")), 0o600);
        let shown = place.json(&["inspect", file("crt").to_str().unwrap()]);
        assert_eq!(shown[0]["serial"], issued["serial"]);
        assert!([29, 30].contains(&shown[0]["daysLeft"].as_i64().unwrap()), "{shown}");
        let names = if name == "redirector" { 3 } else { 0 };
        assert_eq!(shown[0]["names"].as_array().unwrap().len(), names);
    }
    assert_eq!(place.json(&["inspect"]).as_array().unwrap().len(), 1 + cases.len());
}

#[test]
fn what_cannot_be_is_refused_with_the_fix() {
    let place = Place::new();
    fs::write(place.path("no.csr"), "no request").unwrap();
    let cases: [(&[&str], &str); 8] = [
        (&["issue", "client", "--customer", "Acme", "--client", "web"], "use a to z"),
        (&["issue", "client", "--customer", "acme"], "--client"),
        (&["issue", "redirector"], "--dns"),
        (&["issue", "redirector", "--dns", "*.example.com"], "without a wildcard"),
        (&["issue", "alert", "--dns", "a.example"], "--dns"),
        (&["issue", "alert", "--lifetime", "soon"], "10y, 30d or 720h"),
        (&["issue", "alert", "--csr", "no.csr"], "no.csr: this is no certificate signing request"),
        (&["inspect", "no.csr"], "no.csr: no certificate in it"),
    ];
    for (args, text) in cases {
        let said = place.refused(args);
        // The help is wrapped to the terminal's width.
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(text), "{args:?}: {said}");
    }
}

#[test]
fn a_certificate_ends_with_its_authority() {
    let place = Place::new();
    place.ok(&["init", "--dir", "short", "--lifetime", "1h"]);
    let said = place.ok(&["issue", "alert", "--dir", "short"]);
    assert!(said.contains("ends with the authority") && said.contains("kinetic pki rotate"), "{said}");
}

#[test]
fn openssl_believes_what_is_issued() {
    let place = Place::new();
    place.ok(&["issue", "redirector", "--dns", "amqps.example.com", "--ip", "192.0.2.7", "2001:db8::7"]);
    place.ok(&WEB);
    let at = |name: &str| place.path(&format!("pki/{name}")).to_str().unwrap().to_owned();
    let (trust, door, web) =
        (at("trust.crt"), at("issued/redirector.crt"), at("issued/acme.clients.web.crt"));
    let verify = ["verify", "-x509_strict", "-CAfile", &trust];
    let believed = |purpose: &str, extra: &[&str], file: &str| {
        openssl(&[&verify[..], &["-purpose", purpose], extra, &[file]].concat())
    };
    if believed("sslserver", &["-verify_hostname", "amqps.example.com"], &door).is_none() {
        return;
    }
    believed("sslserver", &["-verify_ip", "192.0.2.7"], &door);
    believed("sslclient", &[], &door);
    believed("sslclient", &[], &web);
    let as_server =
        Command::new("openssl").args(verify).args(["-purpose", "sslserver", &web]).output().unwrap();
    assert!(!as_server.status.success(), "a client's certificate is good for a server");

    let said = openssl(&["x509", "-in", &web, "-noout", "-text"]).unwrap();
    for text in [
        "URI:spiffe://kinetic.local/customers/acme/clients/web",
        "CA:FALSE",
        "Digital Signature",
        "TLS Web Client Authentication",
        "NIST CURVE: P-256",
        "X509v3 Authority Key Identifier",
        "X509v3 Subject Key Identifier",
    ] {
        assert!(said.contains(text), "no {text} in {said}");
    }
    let serial = openssl(&["x509", "-in", &web, "-noout", "-serial"]).unwrap();
    let shown = place.json(&["inspect", &web]);
    let same = serial.trim().parse::<kinetic_pki::Serial>().unwrap();
    assert_eq!(shown[0]["serial"], same.as_str());
    let fingerprint = openssl(&["x509", "-in", &web, "-noout", "-fingerprint", "-sha256"]).unwrap();
    let fingerprint: kinetic_pki::Fingerprint =
        fingerprint.trim().rsplit('=').next().unwrap().parse().unwrap();
    assert_eq!(shown[0]["fingerprint"], fingerprint.to_string());
    openssl(&["ec", "-in", &at("issued/acme.clients.web.key"), "-check", "-noout"]);
}

#[test]
fn a_request_of_openssl_is_signed_and_its_wishes_are_not_heard() {
    let place = Place::new();
    let (key, csr) = (place.path("web-1.key"), place.path("web-1.csr"));
    let (key, csr) = (key.to_str().unwrap(), csr.to_str().unwrap());
    let new =
        ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key];
    let wishes = ["-subj", "/CN=redirector", "-addext", "subjectAltName=URI:spiffe://kinetic.local/operator"];
    if openssl(&[&new[..], &wishes, &["-out", csr]].concat()).is_none() {
        return;
    }
    let issued = place.json(&[&WEB[..], &["--csr", csr, "--out", "hand-over"]].concat());
    assert_eq!(issued["identity"], "spiffe://kinetic.local/customers/acme/clients/web");
    assert_eq!(issued["key"], Value::Null);
    let certificate = issued["certificate"].as_str().unwrap();
    let shown = place.json(&["inspect", certificate]);
    assert_eq!(shown[0]["identity"], issued["identity"]);
    assert_eq!(shown.as_array().unwrap().len(), 1);
    assert!(!place.path("hand-over/acme.clients.web.key").exists());
    let in_file = place.path(certificate);
    let public = |args: &[&str]| openssl(args).unwrap();
    assert_eq!(
        public(&["x509", "-in", in_file.to_str().unwrap(), "-noout", "-pubkey"]),
        public(&["pkey", "-in", key, "-pubout"])
    );

    // The key that was made here stays with its certificate.
    place.ok(&WEB);
    let said = place.refused(&[&WEB[..], &["--csr", csr]].concat());
    assert!(said.contains("acme.clients.web.key: this key belongs to another certificate"), "{said}");

    let rsa = place.path("rsa.csr");
    let rsa = rsa.to_str().unwrap();
    openssl(&["req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-subj", "/CN=x", "-out", rsa]);
    let said = place.refused(&[&WEB[..], &["--csr", rsa, "--out", "hand-over"]].concat());
    assert!(said.contains("rsa.csr: the request's key is not ECDSA on P-256"), "{said}");
}

#[test]
fn rotation_takes_three_calls_and_cuts_nobody_off() {
    let place = Place::new();
    let at = |name: &str| place.path(&format!("pki/{name}")).to_str().unwrap().to_owned();
    let believed = |trust: &str, file: &str| {
        let output = Command::new("openssl").args(["verify", "-CAfile", trust, file]).output();
        output.map(|output| output.status.success()).ok()
    };
    place.ok(&[&WEB[..], &["--out", "before"]].concat());
    let before = place.path("before/acme.clients.web.crt").to_str().unwrap().to_owned();
    let first_trust = place.path("first.crt").to_str().unwrap().to_owned();
    fs::copy(at("trust.crt"), &first_trust).unwrap();

    let said = place.ok(&["rotate"]);
    assert!(
        said.contains("Step 1 of 3") && said.contains("pki/trust.crt to every server and client"),
        "{said}"
    );
    place.ok(&["issue", "alert"]);
    // Whoever has not got the new trust yet is not cut off by what is issued now.
    assert_ne!(believed(&first_trust, &at("issued/alert.crt")), Some(false));

    assert_eq!(place.json(&["rotate"])["step"], 2);
    place.ok(&["issue", "alert"]);
    for file in [&before, &at("issued/alert.crt")] {
        assert_ne!(believed(&at("trust.crt"), file), Some(false), "{file}");
    }
    assert_ne!(believed(&first_trust, &at("issued/alert.crt")), Some(true));

    let said = place.refused(&["rotate"]);
    assert!(
        said.contains("1 certificate(s) of the former authority") && said.contains("clients/web"),
        "{said}"
    );
    place.ok(&WEB);
    let third = place.json(&["rotate"]);
    assert_eq!((&third["step"], third["trusted"].as_array().unwrap().len()), (&3.into(), 1));
    assert_ne!(believed(&at("trust.crt"), &before), Some(true));
    assert_ne!(believed(&at("trust.crt"), &at("issued/acme.clients.web.crt")), Some(false));

    place.ok(&["issue", "operator"]);
    place.ok(&["rotate"]);
    place.ok(&["rotate"]);
    place.refused(&["rotate"]);
    assert_eq!(place.json(&["rotate", "--force"])["step"], 3);
}

#[test]
fn help_teaches() {
    let place = Place::new();
    for (args, texts) in [
        (&["--help"][..], &["init", "issue", "inspect", "rotate", "--dir", "Start here"][..]),
        (&["init", "--help"], &["--trust-domain", "--lifetime", "ca.key"]),
        (&["issue", "--help"], &["client", "analyzer", "redirector", "--csr", "--out", "--json", "Examples"]),
        (&["issue", "client", "--help"], &["--customer", "--client", "--machine", "--lifetime"]),
        (&["rotate", "--help"], &["--force", "First", "Second", "Third"]),
    ] {
        let help = place.ok(args);
        for text in texts {
            assert!(help.contains(text), "{args:?} does not name {text}");
        }
    }
}
