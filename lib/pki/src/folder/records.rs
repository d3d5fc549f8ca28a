//! A copy of every certificate that was issued, until it ends: what a rotation waits for, and where serial numbers to revoke are found.

use std::{fs, io, path::PathBuf};

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;

use super::{Folder, FolderError};
use crate::{
    authority::Issued,
    durable::{self, Readers},
    material::Pem,
    peer::Peer,
};

/// The copies' folder.
const RECORDS: &str = "records";

/// A certificate that was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where its copy lies.
    pub path: PathBuf,
    /// Whose it is, and until when.
    pub peer: Peer,
    /// The certificate.
    pub certificate: CertificateDer<'static>,
}

impl Folder {
    /// Every certificate that was issued here and has not ended before the last issue, those that live longest first.
    pub fn records(&self) -> Result<Vec<Record>, FolderError> {
        let mut records = Vec::new();
        for path in self.record_files()? {
            let certificate = Pem::read(&path)?.certificates()?.swap_remove(0);
            if let Ok(peer) = Peer::of(&certificate) {
                records.push(Record { path, peer, certificate });
            }
        }
        records.sort_by(|a, b| b.peer.not_after.cmp(&a.peer.not_after).then_with(|| a.path.cmp(&b.path)));
        Ok(records)
    }

    /// Keeps a copy, and removes those of certificates that have ended.
    pub(super) fn keep(&self, issued: &Issued, now: Timestamp) -> Result<(), FolderError> {
        let folder = self.path().join(RECORDS);
        let path = folder.join(format!("{}-{}.crt", end(issued.not_after), issued.serial));
        durable::private_folder(&folder)
            .and_then(|()| durable::write(&path, &issued.certificate, Readers::All))
            .map_err(|error| FolderError::Io { path, error })?;
        let now = end(now);
        for path in self.record_files()? {
            let ended = path.file_name().is_some_and(|name| name.to_string_lossy()[..] < now[..]);
            if ended {
                fs::remove_file(&path).map_err(|error| FolderError::Io { path, error })?;
            }
        }
        Ok(())
    }

    fn record_files(&self) -> Result<Vec<PathBuf>, FolderError> {
        let folder = self.path().join(RECORDS);
        let listed = match fs::read_dir(&folder) {
            Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        };
        let mut files = listed.map_err(|error| FolderError::Io { path: folder, error })?;
        files.retain(|path| path.extension().is_some_and(|extension| extension == "crt"));
        Ok(files)
    }
}

/// How a copy's name begins: names sort as the certificates end.
fn end(time: Timestamp) -> String {
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}
