//! Certificates: who somebody is ([`identity`]), who says so ([`authority`], [`request`]), what a certificate says
//! ([`peer`], [`details`]), an authority in a folder ([`folder`]), how one
//! is replaced ([`rotation`]), and TLS configurations that follow their files without dropping a connection ([`server`], [`client`]).
//!
//! The shape of the certificates is that of an X.509-SVID: one SPIFFE ID in the subject's alternative names
//! (<https://github.com/spiffe/spiffe/blob/main/standards/X509-SVID.md>).

pub mod authority;
pub mod client;
pub mod details;
pub mod discovery;
pub mod durable;
pub mod fingerprint;
pub mod folder;
mod follow;
pub mod identity;
pub mod key;
pub mod material;
pub mod metrics;
mod named;
pub mod peer;
mod provider;
pub mod request;
pub mod rotation;
pub mod serial;
pub mod server;
mod verifier;
pub mod vouch;

pub use self::{
    authority::{Authority, AuthorityError, Issued, Leaf},
    client::{Client, ClientFiles, ClientIdentity, ServerIdentity, Trust},
    details::Details,
    fingerprint::Fingerprint,
    folder::{Folder, FolderError},
    identity::{Identity, MachineName, Subject, TrustDomain},
    key::{PrivateKey, PublicKey},
    material::MaterialError,
    metrics::TlsMetrics,
    peer::{Peer, PeerError},
    request::{Request, RequestError},
    serial::Serial,
    server::{ClientAuth, Files, Server},
    vouch::{NotBelieved, Trusted},
};
