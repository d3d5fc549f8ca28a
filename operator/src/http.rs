//! Connections by HTTP; over TLS, by authorities in a file that may be replaced.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use kinetic_pki::{
    Client as Tls, ClientFiles, MaterialError, ServerIdentity, TlsMetrics, Trust, client::believing_nobody,
};
use rustls::ClientConfig;

/// How long one call may take: listing a broker of 500 customers takes seconds.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why there can be no connections.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The authorities' file.
    #[error("caFile: {0}")]
    Authorities(#[from] MaterialError),
    /// TLS, or what is round it.
    #[error("{0}")]
    Tls(String),
}

/// Makes connections; clones share them.
#[derive(Clone)]
pub struct Http(Arc<Kind>);

enum Kind {
    Plain(reqwest::Client),
    Tls { follows: Tls, made: Mutex<(Arc<ClientConfig>, reqwest::Client)> },
}

impl Http {
    /// Without TLS.
    pub fn plain() -> Result<Self, HttpError> {
        Ok(Self(Arc::new(Kind::Plain(plain()?))))
    }

    /// To a server that one of these authorities vouches for; those that the system trusts where there is no file.
    pub fn tls(authorities: Option<PathBuf>) -> Result<Self, HttpError> {
        let files = ClientFiles { identity: None, trust: authorities.map_or(Trust::Platform, Trust::File) };
        let follows = Tls::watch(files, ServerIdentity::Name, &TlsMetrics::default())?;
        let config = follows.config();
        let made = Mutex::new((Arc::clone(&config), client(&config)?));
        Ok(Self(Arc::new(Kind::Tls { follows, made })))
    }

    /// For the next call.
    pub fn client(&self) -> Result<reqwest::Client, HttpError> {
        match &*self.0 {
            Kind::Plain(client) => Ok(client.clone()),
            Kind::Tls { follows, made } => {
                let config = follows.config();
                let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
                if !Arc::ptr_eq(&made.0, &config) {
                    *made = (Arc::clone(&config), client(&config)?);
                }
                Ok(made.1.clone())
            }
        }
    }
}

/// Makes connections without TLS.
pub fn plain() -> Result<reqwest::Client, HttpError> {
    client(&believing_nobody().map_err(|error| HttpError::Tls(error.to_string()))?)
}

fn client(config: &ClientConfig) -> Result<reqwest::Client, HttpError> {
    reqwest::Client::builder()
        .timeout(TIMEOUT)
        // Whoever answers does not choose whom the operator asks next.
        .redirect(reqwest::redirect::Policy::none())
        .tls_backend_preconfigured(config.clone())
        .build()
        .map_err(|error| HttpError::Tls(error.to_string()))
}
