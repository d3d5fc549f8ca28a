//! Authorities, and folders of certificate files that a server or client is made of.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::{Timestamp, ToSpan};
use kinetic_pki::{
    Authority, Client, ClientAuth, ClientFiles, ClientIdentity, Files, Leaf, PrivateKey, Server,
    ServerIdentity, Subject, TlsMetrics, Trust,
};
use tempfile::TempDir;

pub(crate) const HOUR: Duration = Duration::from_hours(1);

/// An authority in the middle of its life.
pub(crate) fn authority() -> Authority {
    let made = Timestamp::now() - 100.hours();
    Authority::generate(&"kinetic.local".parse().unwrap(), 200 * HOUR, made).unwrap()
}

pub(crate) fn web() -> Subject {
    Subject::Client { customer: "acme".parse().unwrap(), client: "web".parse().unwrap() }
}

/// A certificate of an hour from `at`, and its key; the redirector's names `localhost` and 127.0.0.1.
pub(crate) fn issue(authority: &Authority, subject: Subject, at: Timestamp) -> (String, String) {
    let mut leaf = Leaf::new(subject, HOUR);
    if leaf.subject == Subject::Redirector {
        leaf.dns.push("localhost".try_into().unwrap());
        leaf.addresses.push("127.0.0.1".parse().unwrap());
    }
    let key = PrivateKey::generate().unwrap();
    let issued = authority.issue(&leaf, key.public(), at).unwrap();
    (issued.certificate, key.pem())
}

/// Somebody's `tls.crt`, `tls.key` and `ca.crt`.
pub(crate) struct Holder(TempDir);

impl Holder {
    pub(crate) fn new((certificate, key): (String, String), trust: &str) -> Self {
        let holder = Self(tempfile::tempdir().unwrap());
        holder.write("tls.crt", &certificate);
        holder.write("tls.key", &key);
        holder.write("ca.crt", trust);
        holder
    }

    /// Of this subject, by this authority, now; trusting the same.
    pub(crate) fn of(authority: &Authority, subject: Subject) -> Self {
        Self::new(issue(authority, subject, Timestamp::now()), authority.certificate())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let aside = self.0.path().join(format!(".{name}"));
        fs::write(&aside, text).unwrap();
        fs::rename(aside, self.0.path().join(name)).unwrap();
    }

    pub(crate) fn files(&self) -> Files {
        let at = |name: &str| -> PathBuf { self.0.path().join(name) };
        Files { certificate: at("tls.crt"), key: at("tls.key"), trust: at("ca.crt") }
    }

    pub(crate) fn server(&self, auth: ClientAuth) -> Server {
        Server::watch(self.files(), auth, &TlsMetrics::default()).unwrap()
    }

    pub(crate) fn client(&self) -> Client {
        self.client_of(ServerIdentity::Name)
    }

    pub(crate) fn client_of(&self, server: ServerIdentity) -> Client {
        let Files { certificate, key, trust } = self.files();
        let identity = Some(ClientIdentity { certificate, key });
        let files = ClientFiles { identity, trust: Trust::File(trust) };
        Client::watch(files, server, &TlsMetrics::default()).unwrap()
    }

    /// A client that shows nothing of itself.
    pub(crate) fn nobody(&self) -> Client {
        let files = ClientFiles { identity: None, trust: Trust::File(self.files().trust) };
        Client::watch(files, ServerIdentity::Name, &TlsMetrics::default()).unwrap()
    }
}
