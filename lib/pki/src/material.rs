//! Certificates, keys and trust as they lie in files, in PEM.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tracing::warn;

/// A bundle of all the world's authorities is 250 KiB; what is longer was named by mistake.
const MAX_FILE: u64 = 4 << 20;

/// What is wrong with a file, and how to put it right.
#[derive(Debug, thiserror::Error)]
pub enum MaterialError {
    /// It cannot be read.
    #[error("{}: {error}; it must exist and be readable by this process", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Longer than any bundle.
    #[error("{}: longer than {MAX_FILE} bytes: this is no PEM file of certificates or a key", .0.display())]
    TooLong(PathBuf),
    /// No certificate in it.
    #[error(
        "{}: no certificate in it: PEM with -----BEGIN CERTIFICATE----- is expected", .0.display()
    )]
    NoCertificate(PathBuf),
    /// A certificate in it is cut off, or no certificate.
    #[error("{}: certificate {number} in it is damaged ({reason}): write the file anew", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which one, from 1.
        number: usize,
        /// What is wrong.
        reason: String,
    },
    /// No private key in it.
    #[error(
        "{}: no private key in it: PEM with -----BEGIN PRIVATE KEY-----, without a pass phrase, is expected",
        .0.display()
    )]
    NoKey(PathBuf),
    /// The key belongs to another certificate.
    #[error(
        "{}: this key does not belong to the first certificate in {}: put the pair there that was issued together",
        key.display(), certificate.display()
    )]
    KeyMismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// Certificate and key that TLS cannot be done with.
    #[error("{}: not usable for TLS: {reason}", path.display())]
    Unusable {
        /// The certificate's file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The system knows no authority.
    #[error(
        "the system's own authorities cannot be found ({reason}): install ca-certificates, or name a file of authorities to trust"
    )]
    Platform {
        /// What was tried.
        reason: String,
    },
}

/// A file's text, not yet looked into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pem {
    /// The file.
    pub path: PathBuf,
    /// What is in it.
    pub bytes: Vec<u8>,
    /// Whether every user of the machine may read it.
    pub world_readable: bool,
}

impl Pem {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, MaterialError> {
        let failed = |error| MaterialError::Read { path: path.to_owned(), error };
        let file = File::open(path).map_err(failed)?;
        let world_readable = world_readable(&file.metadata().map_err(failed)?);
        let mut bytes = Vec::new();
        file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(MaterialError::TooLong(path.to_owned()));
        }
        Ok(Self { path: path.to_owned(), bytes, world_readable })
    }

    /// The certificates in it, in order: one at least.
    pub fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, MaterialError> {
        let damaged = |(i, reason): (usize, String)| MaterialError::Damaged {
            path: self.path.clone(),
            number: i + 1,
            reason,
        };
        let certificates = CertificateDer::pem_slice_iter(&self.bytes)
            .enumerate()
            .map(|(i, certificate)| certificate.map_err(|error| damaged((i, error.to_string()))))
            .collect::<Result<Vec<_>, _>>()?;
        if certificates.is_empty() {
            return Err(MaterialError::NoCertificate(self.path.clone()));
        }
        Ok(certificates)
    }

    /// The private key in it: the first, if there are several. One that everybody may read is warned of.
    pub fn key(&self) -> Result<PrivateKeyDer<'static>, MaterialError> {
        let key = PrivateKeyDer::from_pem_slice(&self.bytes)
            .map_err(|_| MaterialError::NoKey(self.path.clone()))?;
        if self.world_readable {
            warn!(file = %self.path.display(), "every user of this machine may read this private key: chmod 600 it");
        }
        Ok(key)
    }

    /// The authorities in it, all of them trusted: during a rotation there are two.
    pub fn trust(&self) -> Result<RootCertStore, MaterialError> {
        let mut roots = RootCertStore::empty();
        for (i, certificate) in self.certificates()?.into_iter().enumerate() {
            roots.add(certificate).map_err(|error| MaterialError::Damaged {
                path: self.path.clone(),
                number: i + 1,
                reason: error.to_string(),
            })?;
        }
        Ok(roots)
    }
}

/// The authorities that the system trusts.
pub(crate) fn platform_trust() -> Result<RootCertStore, MaterialError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let reasons: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        let reason = if reasons.is_empty() { "there are none".to_owned() } else { reasons.join("; ") };
        return Err(MaterialError::Platform { reason });
    }
    Ok(roots)
}

/// What rustls says of a certificate and its key, in terms of their files.
pub(crate) fn explain(error: &rustls::Error, certificate: &Pem, key: &Pem) -> MaterialError {
    match error {
        rustls::Error::InconsistentKeys(_) => {
            MaterialError::KeyMismatch { certificate: certificate.path.clone(), key: key.path.clone() }
        }
        error => MaterialError::Unusable { path: certificate.path.clone(), reason: error.to_string() },
    }
}

#[cfg(unix)]
fn world_readable(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o004 != 0
}

#[cfg(not(unix))]
fn world_readable(_: &std::fs::Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{authority::Authority, key::PrivateKey};

    fn pem(text: &str) -> Pem {
        Pem { path: "/x/tls.pem".into(), bytes: text.as_bytes().to_vec(), world_readable: false }
    }

    fn authority() -> String {
        let now = jiff::Timestamp::UNIX_EPOCH;
        let lifetime = std::time::Duration::from_hours(1);
        Authority::generate(&"kinetic.local".parse().unwrap(), lifetime, now)
            .unwrap()
            .certificate()
            .to_owned()
    }

    #[test]
    fn a_bundle_is_trusted_whole() {
        let (one, other) = (authority(), authority());
        let bundle = pem(&format!("# the old one\n{one}\n# the new one\n{other}"));
        assert_eq!(bundle.certificates().unwrap().len(), 2);
        assert_eq!(bundle.trust().unwrap().len(), 2);
    }

    #[test]
    fn errors_name_the_file_and_the_fix() {
        let cut = authority().replace("-----END CERTIFICATE-----", "");
        let empty_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let key = PrivateKey::generate().unwrap().pem();
        let cases = [
            (pem("").certificates().unwrap_err(), "no certificate in it"),
            (pem(&key).certificates().unwrap_err(), "no certificate in it"),
            (pem(&cut).certificates().unwrap_err(), "certificate 1 in it is damaged"),
            (
                pem(&format!("{}{empty_der}", authority())).trust().unwrap_err(),
                "certificate 2 in it is damaged",
            ),
            (pem(&authority()).key().unwrap_err(), "no private key in it"),
        ];
        for (error, text) in cases {
            let shown = error.to_string();
            assert!(shown.starts_with("/x/tls.pem: ") && shown.contains(text), "{shown}");
        }
        let missing = Pem::read(Path::new("/no/such/file")).unwrap_err().to_string();
        assert!(missing.starts_with("/no/such/file: ") && missing.contains("must exist"), "{missing}");
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_everybody_may_read_is_noticed() {
        use std::{fs, os::unix::fs::PermissionsExt};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tls.key");
        fs::write(&path, PrivateKey::generate().unwrap().pem()).unwrap();
        for (mode, noticed) in [(0o600, false), (0o640, false), (0o644, true)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(Pem::read(&path).unwrap().world_readable, noticed, "{mode:o}");
        }
    }
}
