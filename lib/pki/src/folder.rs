//! An authority in a folder, for use without Kubernetes: `ca.crt`, `ca.key`, `trust.crt`, and what it issued.
//!
//! Every file is replaced whole, and everything is told from the files alone: whoever is killed at any moment, the folder goes on to work.

mod records;
mod rotation;

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;

pub use self::{records::Record, rotation::Rotation};
use crate::{
    authority::{Authority, AuthorityError, Issued, Leaf},
    durable::{self, Readers},
    fingerprint::Fingerprint,
    identity::{Subject, TrustDomain},
    key::{PrivateKey, PublicKey},
    material::{MaterialError, Pem},
};

/// The authority's certificate.
const CERTIFICATE: &str = "ca.crt";
/// The authority's key.
const KEY: &str = "ca.key";
/// The certificates of all authorities that are trusted: what every server and client is given.
const TRUST: &str = "trust.crt";
/// The authority that a rotation brings, while it is trusted and not used yet.
const NEXT_CERTIFICATE: &str = "next.crt";
const NEXT_KEY: &str = "next.key";
/// Where certificates are handed out.
const ISSUED: &str = "issued";
/// There while the folder is filled for the first time.
const BEGUN: &str = ".begun";
/// Held by who changes the folder.
const LOCK: &str = ".lock";

/// An authority in a folder. Nothing is kept in memory: several processes may work with one folder.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

/// Why a folder of certificates cannot be worked with.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// There is an authority already.
    #[error(
        "{}: there is an authority already, and replacing it would cut off everybody who trusts it: \
         use `kinetic pki rotate` to bring a new one in, or another folder", .0.display()
    )]
    Exists(PathBuf),
    /// There is none.
    #[error("{}: there is no authority: make one with `kinetic pki init`", .0.display())]
    Missing(PathBuf),
    /// The authority's files do not go together.
    #[error("{}: {error}", path.display())]
    Authority {
        /// The certificate's file.
        path: PathBuf,
        /// What is wrong.
        error: AuthorityError,
    },
    /// A file is not what it should be.
    #[error(transparent)]
    Material(#[from] MaterialError),
    /// A file cannot be written, or the folder not made.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A key lies where a certificate for another key would go.
    #[error(
        "{}: this key belongs to another certificate than the one that is asked for: choose another folder with --out", .0.display()
    )]
    OtherKey(PathBuf),
    /// The authority that is going would leave certificates behind that nobody accepts any more: these, whose holders have no newer one.
    #[error(
        "{count} certificate(s) of the former authority are still alive, {first} until {until} among them: issue them anew, or wait, or use --force; \
         once the former authority is removed, nobody accepts them",
        count = .0.len(), first = .0[0].peer.identity, until = .0[0].peer.not_after
    )]
    StillAlive(Vec<Record>),
}

/// The files that a certificate was handed out in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandedOut {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key, where it was made here.
    pub key: Option<PathBuf>,
    /// The authorities to trust.
    pub trust: PathBuf,
}

impl Folder {
    /// Makes a folder with a new authority; refuses one that has an authority already.
    pub fn init(
        path: &Path,
        trust_domain: &TrustDomain,
        lifetime: Duration,
        now: Timestamp,
    ) -> Result<Self, FolderError> {
        let folder = Self { path: path.to_owned() };
        durable::private_folder(path).map_err(folder.io(""))?;
        let _held = folder.hold()?;
        let begun = folder.path.join(BEGUN);
        let occupied = [CERTIFICATE, KEY, TRUST].iter().any(|name| folder.path.join(name).exists());
        if occupied && !begun.exists() {
            return Err(FolderError::Exists(folder.path));
        }
        let authority = Authority::generate(trust_domain, lifetime, now)
            .map_err(|error| FolderError::Authority { path: folder.path.join(CERTIFICATE), error })?;
        folder.write(BEGUN, "", Readers::All)?;
        folder.write(KEY, &authority.key_pem(), Readers::Owner)?;
        folder.write(TRUST, authority.certificate(), Readers::All)?;
        folder.write(CERTIFICATE, authority.certificate(), Readers::All)?;
        fs::remove_file(&begun).map_err(folder.io(BEGUN))?;
        durable::sync_folder_of(&begun).map_err(folder.io(BEGUN))?;
        Ok(folder)
    }

    /// Opens a folder that has an authority.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        let folder = Self { path: path.to_owned() };
        if folder.path.join(BEGUN).exists() || !folder.path.join(CERTIFICATE).exists() {
            return Err(FolderError::Missing(folder.path));
        }
        folder.authority()?;
        Ok(folder)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The authority that issues.
    pub fn authority(&self) -> Result<Authority, FolderError> {
        let _held = self.hold()?;
        self.issuing()
    }

    /// The authority that issues. The folder is held: otherwise key and certificate might be of two authorities.
    fn issuing(&self) -> Result<Authority, FolderError> {
        let key = self.read(KEY)?;
        let of = |name: &str| -> Result<Result<Authority, AuthorityError>, FolderError> {
            Ok(Authority::from_pem(&self.read(name)?, &key))
        };
        let (name, error) = match of(CERTIFICATE)? {
            Ok(authority) => return Ok(authority),
            // A rotation was interrupted between its two renames: the key is the new one, its certificate still lies aside.
            Err(AuthorityError::KeyMismatch) if self.path.join(NEXT_CERTIFICATE).exists() => {
                match of(NEXT_CERTIFICATE)? {
                    Ok(authority) => return Ok(authority),
                    Err(error) => (NEXT_CERTIFICATE, error),
                }
            }
            Err(error) => (CERTIFICATE, error),
        };
        Err(FolderError::Authority { path: self.path.join(name), error })
    }

    /// The certificates of all authorities that are trusted, in PEM: what every server and client is given.
    pub fn trust(&self) -> Result<String, FolderError> {
        self.read(TRUST)
    }

    /// Issues a certificate for this key, and keeps a copy of it (a rotation waits for its end).
    pub fn issue(&self, leaf: &Leaf, key: &PublicKey, now: Timestamp) -> Result<Issued, FolderError> {
        let _held = self.hold()?;
        let issued = self
            .issuing()?
            .issue(leaf, key, now)
            .map_err(|error| FolderError::Authority { path: self.path.join(CERTIFICATE), error })?;
        self.keep(&issued, now)?;
        Ok(issued)
    }

    /// Where certificates are handed out unless asked otherwise.
    #[must_use]
    pub fn issued(&self) -> PathBuf {
        self.path.join(ISSUED)
    }

    /// Puts a certificate, its key if it was made here, and the trust beside each other into a folder.
    ///
    /// # Errors
    /// A key that lies there and belongs to another certificate is not left beside this one, nor destroyed.
    pub fn hand_out(
        &self,
        out: &Path,
        issued: &Issued,
        key: Option<&PrivateKey>,
    ) -> Result<HandedOut, FolderError> {
        let stem = out.join(file_name(&issued.identity.subject));
        let with = |extension: &str| {
            let mut path = stem.clone().into_os_string();
            path.push(extension);
            PathBuf::from(path)
        };
        let (certificate, key_path, trust) = (with(".crt"), with(".key"), out.join(TRUST));
        let write = |path: &Path, text: &str, readers| {
            durable::write(path, text, readers)
                .map_err(|error| FolderError::Io { path: path.to_owned(), error })
        };
        durable::private_folder(out).map_err(|error| FolderError::Io { path: out.to_owned(), error })?;
        write(&trust, &self.trust()?, Readers::All)?;
        if let Some(key) = key {
            write(&key_path, &key.pem(), Readers::Owner)?;
        }
        write(&certificate, &issued.certificate, Readers::All)?;
        Ok(HandedOut { certificate, key: key.is_some().then_some(key_path), trust })
    }

    /// Refuses a folder where this subject's key is another one than `key`.
    pub fn check_out(&self, out: &Path, subject: &Subject, key: &PublicKey) -> Result<(), FolderError> {
        let path = out.join(file_name(subject) + ".key");
        if !path.exists() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&Pem::read(&path)?.bytes).into_owned();
        match PrivateKey::from_pem(&text) {
            Ok(there) if there.public() == key => Ok(()),
            _ => Err(FolderError::OtherKey(path)),
        }
    }

    fn read(&self, name: &str) -> Result<String, FolderError> {
        let pem = Pem::read(&self.path.join(name))?;
        Ok(String::from_utf8_lossy(&pem.bytes).into_owned())
    }

    fn certificates(&self, name: &str) -> Result<Vec<CertificateDer<'static>>, FolderError> {
        Ok(Pem::read(&self.path.join(name))?.certificates()?)
    }

    fn write(&self, name: &str, text: &str, readers: Readers) -> Result<(), FolderError> {
        durable::write(&self.path.join(name), text, readers).map_err(self.io(name))
    }

    fn io(&self, name: &str) -> impl Fn(io::Error) -> FolderError {
        let path = self.path.join(name);
        move |error| FolderError::Io { path: path.clone(), error }
    }

    /// Waits until nobody else changes the folder, and keeps others from it until the file is dropped.
    fn hold(&self) -> Result<File, FolderError> {
        let file = File::options()
            .create(true)
            .write(true)
            .truncate(false)
            .open(self.path.join(LOCK))
            .map_err(self.io(LOCK))?;
        file.lock().map_err(self.io(LOCK))?;
        Ok(file)
    }
}

/// The longest name that file systems take is 255 bytes, with room for an extension and for the name that it is written under aside.
const MAX_STEM: usize = 240;

/// What an identity's files are called: its path, with dots: `acme.clients.web`. Names hold no dots but a machine's, which comes last.
#[must_use]
pub fn file_name(subject: &Subject) -> String {
    let path = subject.to_string();
    let path = path.trim_start_matches('/');
    let name = path.strip_prefix("customers/").unwrap_or(path).replace('/', ".");
    if name.len() <= MAX_STEM {
        return name;
    }
    let digits = &hex::encode(Fingerprint::of(name.as_bytes()).as_bytes())[..16];
    format!("{}.{digits}", &name[..MAX_STEM - 17])
}

#[cfg(test)]
mod tests;
