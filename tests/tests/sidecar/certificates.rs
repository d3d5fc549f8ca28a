//! An authority, and what it issues.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use kinetic_pki::{Authority, Identity, Leaf, PrivateKey, Subject};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair, SanType};

const DAY: Duration = Duration::from_hours(24);

/// An authority whose files lie in a folder.
pub(crate) struct Certificates {
    authority: Authority,
    folder: PathBuf,
}

impl Certificates {
    pub(crate) fn new(folder: &Path) -> Self {
        let domain = "kinetic.local".parse().unwrap();
        let authority = Authority::generate(&domain, 100 * DAY, Timestamp::now()).unwrap();
        fs::write(folder.join("ca.crt"), authority.certificate()).unwrap();
        Self { authority, folder: folder.to_owned() }
    }

    /// Writes `NAME.crt` and `NAME.key`, for so long; the broker's name `localhost`.
    pub(crate) fn issue(&self, name: &str, id: &str, lifetime: Duration) {
        let identity: Identity = id.parse().unwrap();
        let mut leaf = Leaf::new(identity.subject, lifetime);
        if leaf.subject == Subject::Redirector {
            leaf.dns.push("localhost".try_into().unwrap());
        }
        let key = PrivateKey::generate().unwrap();
        let issued = self.authority.issue(&leaf, key.public(), Timestamp::now()).unwrap();
        fs::write(self.path(&format!("{name}.crt")), issued.certificate).unwrap();
        fs::write(self.path(&format!("{name}.key")), key.pem()).unwrap();
    }

    /// Writes the same for a server, `localhost`, that has this SPIFFE ID: our authority would not.
    pub(crate) fn forge_server(&self, name: &str, id: &str) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.subject_alt_names.push(SanType::URI(id.try_into().unwrap()));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let own = KeyPair::from_pem(&self.authority.key_pem()).unwrap();
        let issuer = Issuer::from_ca_cert_pem(self.authority.certificate(), own).unwrap();
        fs::write(self.path(&format!("{name}.crt")), params.signed_by(&key, &issuer).unwrap().pem()).unwrap();
        fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}
