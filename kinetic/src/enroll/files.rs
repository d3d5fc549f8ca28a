//! A machine's folder: its key, its certificate, whom it trusts, and where it enrolled.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use jiff::Timestamp;
use kinetic_enroll::wire::Answer;
use kinetic_pki::{
    ClientIdentity, Identity, Peer, PrivateKey, Trusted,
    durable::{self, Readers},
};
use serde::{Deserialize, Serialize};

/// A machine's folder.
pub(super) struct Files(PathBuf);

/// Where and as what the machine enrolled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Enrolled {
    pub(super) server: url::Url,
    pub(super) customer: String,
    pub(super) client: String,
    pub(super) name: String,
}

const KEY: &str = "machine.key";
const CERTIFICATE: &str = "machine.crt";
const TRUST: &str = "trust.crt";
const ENROLLED: &str = "enrollment.json";
/// A renewal's key and certificate, until they take the others' places.
const NEXT_KEY: &str = "next.key";
const NEXT_CERTIFICATE: &str = "next.crt";

impl Files {
    /// Opens a folder that its owner alone may look into, and finishes a change of keys that was interrupted.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        durable::private_folder(path).with_context(|| path.display().to_string())?;
        let files = Self(path.to_owned());
        if files.at(NEXT_CERTIFICATE).exists() {
            files.follow()?;
        }
        Ok(files)
    }

    /// The machine's key; made, if there is none.
    pub(super) fn key(&self) -> anyhow::Result<PrivateKey> {
        self.key_in(KEY)
    }

    /// The key that a renewal brings; made, if there is none yet.
    pub(super) fn next_key(&self) -> anyhow::Result<PrivateKey> {
        self.key_in(NEXT_KEY)
    }

    fn key_in(&self, name: &str) -> anyhow::Result<PrivateKey> {
        if let Some(pem) = self.read(name)? {
            return PrivateKey::from_pem(&pem).with_context(|| self.at(name).display().to_string());
        }
        let key = PrivateKey::generate()?;
        self.write(name, &key.pem(), Readers::Owner)?;
        Ok(key)
    }

    /// The certificate (PEM), and what it says.
    pub(super) fn certificate(&self) -> anyhow::Result<Option<Peer>> {
        let (Some(pem), Some(trust)) = (self.read(CERTIFICATE)?, self.read(TRUST)?) else { return Ok(None) };
        let vouched = Trusted::from_pem(&trust).vouch(&pem, Timestamp::now());
        vouched.map(Some).with_context(|| self.at(CERTIFICATE).display().to_string())
    }

    /// What is shown in TLS.
    pub(super) fn identity(&self) -> ClientIdentity {
        ClientIdentity { certificate: self.at(CERTIFICATE), key: self.at(KEY) }
    }

    /// The file of whom it trusts.
    pub(super) fn trust(&self) -> PathBuf {
        self.at(TRUST)
    }

    pub(super) fn set_trust(&self, pem: &str) -> anyhow::Result<()> {
        self.write(TRUST, pem, Readers::All)
    }

    pub(super) fn enrolled(&self) -> anyhow::Result<Option<Enrolled>> {
        let text = self.read(ENROLLED)?;
        let parsed = text.map(|text| serde_json::from_str(&text)).transpose();
        parsed.with_context(|| self.at(ENROLLED).display().to_string())
    }

    pub(super) fn set_enrolled(&self, enrolled: &Enrolled) -> anyhow::Result<()> {
        self.write(ENROLLED, &serde_json::to_string_pretty(enrolled)?, Readers::All)
    }

    /// Puts a certificate into place once it is what was asked for: for this machine and this key, by an authority that is trusted.
    pub(super) fn take(&self, answer: &Answer, wanted: &Enrolled, key: &PrivateKey) -> anyhow::Result<Peer> {
        let (Some(certificate), Some(trust)) = (&answer.certificate, &answer.trust) else {
            bail!("the server says that the certificate is issued, and does not give it");
        };
        let peer = Trusted::from_pem(trust).vouch(certificate, Timestamp::now())?;
        let path =
            format!("/customers/{}/clients/{}/machines/{}", wanted.customer, wanted.client, wanted.name);
        if !is_for(&peer.identity, &path) || peer.key != key.public().fingerprint() {
            bail!(
                "the server gave a certificate for {} and the key {}, which is not what was asked for",
                peer.identity,
                peer.key
            );
        }
        self.set_trust(trust)?;
        let next = self.read(NEXT_KEY)?.and_then(|pem| PrivateKey::from_pem(&pem).ok());
        if next.is_some_and(|next| next.public() == key.public()) {
            self.write(NEXT_CERTIFICATE, certificate, Readers::All)?;
            self.follow()?;
        } else {
            self.write(CERTIFICATE, certificate, Readers::All)?;
        }
        Ok(peer)
    }

    /// The next key and certificate take the places of the others: the certificate last, as it tells that it is not done.
    fn follow(&self) -> anyhow::Result<()> {
        for (from, to) in [(NEXT_KEY, KEY), (NEXT_CERTIFICATE, CERTIFICATE)] {
            match fs::rename(self.at(from), self.at(to)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| self.at(from).display().to_string());
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn read(&self, name: &str) -> anyhow::Result<Option<String>> {
        match fs::read_to_string(self.at(name)) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| self.at(name).display().to_string()),
        }
    }

    fn write(&self, name: &str, text: &str, readers: Readers) -> anyhow::Result<()> {
        durable::write(&self.at(name), text, readers).with_context(|| self.at(name).display().to_string())
    }
}

fn is_for(identity: &Identity, path: &str) -> bool {
    identity.subject.to_string() == path
}
