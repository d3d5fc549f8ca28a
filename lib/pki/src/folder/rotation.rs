//! The [rotation] of a folder's authority: whoever calls has seen to it that everybody took up the step before, but for what the folder itself can tell.
//!
//! [rotation]: crate::rotation

use std::{collections::HashSet, fs, time::Duration};

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;

use super::{CERTIFICATE, Folder, FolderError, KEY, NEXT_CERTIFICATE, NEXT_KEY, Record, TRUST};
use crate::{
    authority::Authority,
    details::signed_by,
    durable::{self, Readers},
    fingerprint::Fingerprint,
    identity::Identity,
    rotation::{Authorities, Facts, Next, Stage, Step},
};

/// What a step led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The step.
    pub step: Step,
    /// The authority that issues now.
    pub issuing: Fingerprint,
    /// The authorities that are trusted now, in the order of `trust.crt`.
    pub trusted: Vec<Fingerprint>,
}

impl Folder {
    /// Takes the next step of a rotation, or completes one that was interrupted. `lifetime` is the new authority's.
    ///
    /// # Errors
    /// [`FolderError::StillAlive`] for the third step while somebody has a living certificate of the former authority and none of the new one, unless
    /// `force`.
    pub fn rotate(&self, lifetime: Duration, force: bool, now: Timestamp) -> Result<Rotation, FolderError> {
        let _held = self.hold()?;
        let stage = self.stage()?;
        let left_behind = if stage == Stage::Used && !force {
            self.left_behind(&self.issuing()?, now)?
        } else {
            Vec::new()
        };
        let complete = left_behind.is_empty().then_some(now);
        let facts =
            Facts { stage, due: now, complete, settle: Duration::ZERO, unseen_until: None, asked: true };
        let Next::Take(step) = facts.next(now) else { return Err(FolderError::StillAlive(left_behind)) };
        match step {
            Step::Trusted => self.trust_new(lifetime, now)?,
            Step::Used => self.use_new()?,
            Step::Removed => self.write_trust(&Authorities::Settled(self.issuing()?.certificate()))?,
        }
        let trusted = self.certificates(TRUST)?.iter().map(|der| Fingerprint::of(der)).collect();
        Ok(Rotation { step, issuing: self.issuing()?.fingerprint(), trusted })
    }

    /// Where the rotation stands, as the files tell: before a step that was interrupted. The folder is held.
    pub(super) fn stage(&self) -> Result<Stage, FolderError> {
        let trusted = self.certificates(TRUST)?;
        let has = |name: &str| self.path().join(name).exists();
        if has(NEXT_CERTIFICATE) {
            // With its key gone, `next.crt` only waits to be renamed: the second step is under way.
            let whole =
                has(NEXT_KEY) || self.issuing()?.fingerprint() == self.fingerprint(NEXT_CERTIFICATE)?;
            let known = trusted.contains(&self.certificates(NEXT_CERTIFICATE)?[0]);
            return Ok(if whole && known { Stage::Trusted } else { Stage::Settled });
        }
        let own = &self.certificates(CERTIFICATE)?[0];
        Ok(if trusted.iter().any(|other| other != own) { Stage::Used } else { Stage::Settled })
    }

    fn fingerprint(&self, name: &str) -> Result<Fingerprint, FolderError> {
        Ok(Fingerprint::of(&self.certificates(name)?[0]))
    }

    /// The first step. A new authority that an interrupted one left is taken, if it is whole.
    fn trust_new(&self, lifetime: Duration, now: Timestamp) -> Result<(), FolderError> {
        let issuing = self.issuing()?;
        let failed = |error| FolderError::Authority { path: self.path().join(NEXT_CERTIFICATE), error };
        let left = match (self.read(NEXT_CERTIFICATE), self.read(NEXT_KEY)) {
            (Ok(certificate), Ok(key)) => Authority::from_pem(&certificate, &key).ok(),
            _ => None,
        };
        let new = if let Some(new) = left {
            new
        } else {
            let new = Authority::generate(issuing.trust_domain(), lifetime, now).map_err(failed)?;
            self.write(NEXT_KEY, &new.key_pem(), Readers::Owner)?;
            self.write(NEXT_CERTIFICATE, new.certificate(), Readers::All)?;
            new
        };
        let (issuing, next) = (issuing.certificate(), new.certificate());
        self.write_trust(&Authorities::Trusted { issuing, next })
    }

    /// The second step. Two renames: between them the key's certificate is found under its old name (see [`Folder::issuing`]).
    fn use_new(&self) -> Result<(), FolderError> {
        for (from, to) in [(NEXT_KEY, KEY), (NEXT_CERTIFICATE, CERTIFICATE)] {
            let (from, to) = (self.path().join(from), self.path().join(to));
            if from.exists() {
                fs::rename(&from, &to).map_err(|error| FolderError::Io { path: from.clone(), error })?;
                durable::sync_folder_of(&to).map_err(|error| FolderError::Io { path: to, error })?;
            }
        }
        Ok(())
    }

    /// The certificates that are alive, that a trusted authority other than the issuing one signed, and whose holders have got none from the issuing one.
    fn left_behind(&self, issuing: &Authority, now: Timestamp) -> Result<Vec<Record>, FolderError> {
        let (own, former): (Vec<_>, Vec<_>) = self
            .certificates(TRUST)?
            .into_iter()
            .partition(|der| Fingerprint::of(der) == issuing.fingerprint());
        let signed = |record: &Record, by: &[CertificateDer<'_>]| {
            by.iter().any(|authority| signed_by(&record.certificate, authority))
        };
        let mut alive = self.kept()?;
        alive.retain(|record| record.peer.not_after > now);
        let renewed: HashSet<Identity> = alive
            .iter()
            .filter(|record| signed(record, &own))
            .map(|record| record.peer.identity.clone())
            .collect();
        alive.retain(|record| !renewed.contains(&record.peer.identity) && signed(record, &former));
        Ok(alive)
    }

    /// Writes what is trusted, also where certificates were handed out from here.
    fn write_trust(&self, certificates: &Authorities<&str>) -> Result<(), FolderError> {
        let text = certificates.bundle();
        self.write(TRUST, &text, Readers::All)?;
        let copy = self.issued().join(TRUST);
        if copy.exists() {
            durable::write(&copy, &text, Readers::All)
                .map_err(|error| FolderError::Io { path: copy.clone(), error })?;
        }
        Ok(())
    }
}
