//! How analyzers, the alert service and front doors fare: their pods are asked, now and then. Who does not answer is no failure: what was known stays for a while.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Pod;
use kinetic_api::fitness::{Alerts, Analyzers, Clients};
use kube::{Api, Client, ResourceExt, api::ListParams};
use serde::{Serialize, de::DeserializeOwned};

use crate::build::config_map::ANALYZER_ADMIN;

/// Nobody is asked more often.
const EVERY: Duration = Duration::from_secs(25);
/// An analyzer's pod that is not there is not looked for more often: each has a Topology, and there are many.
const ABSENT: Duration = Duration::from_mins(5);
/// An answer is believed for so long.
const BELIEVED: Duration = Duration::from_mins(2);
/// Who has not answered by then does not answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Where the alert service is asked.
const ALERT_ADMIN: u16 = 8183;
/// No answer is longer: whoever writes on is not listened to, as an analyzer may be anybody's program.
const LONGEST: usize = 4 << 20;

/// What was heard last, by whom it was told.
#[derive(Debug)]
pub struct Asked {
    http: reqwest::Client,
    heard: Mutex<HashMap<String, Heard>>,
}

#[derive(Clone, Debug, Default)]
struct Heard {
    /// When it was asked last.
    asked: Option<Instant>,
    /// Where it is.
    address: Option<String>,
    /// When it answered last, and what.
    answer: Option<(Instant, String)>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum Unheard {
    #[error(transparent)]
    Http(#[from] reqwest::Error),
    #[error("the answer is longer than {LONGEST} bytes")]
    Endless,
    #[error("the answer cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
}

impl Asked {
    /// Nobody has been asked yet.
    #[must_use]
    pub fn new(http: reqwest::Client) -> Self {
        Self { http, heard: Mutex::default() }
    }

    /// How the analyzer in a pod fares.
    pub async fn analyzer(&self, client: &Client, namespace: &str, pod: &str) -> Option<Analyzers> {
        let find = async || {
            let pod = Api::<Pod>::namespaced(client.clone(), namespace).get_opt(pod).await.ok()??;
            pod.status?.pod_ip
        };
        self.ask(&format!("{namespace}/{pod}"), (find, ABSENT), ANALYZER_ADMIN, "/api/v1/analyzers").await
    }

    /// How the Alerts fare, by the alert service in this namespace.
    pub async fn alerts(&self, client: &Client, namespace: &str) -> Option<Alerts> {
        let find = async || {
            let ours = ListParams::default()
                .labels("app.kubernetes.io/name=kinetic,app.kubernetes.io/component=alert");
            let pods = Api::<Pod>::namespaced(client.clone(), namespace).list(&ours).await.ok()?;
            let running = |pod: &Pod| pod.metadata.deletion_timestamp.is_none();
            pods.items.into_iter().filter(running).min_by_key(ResourceExt::name_any)?.status?.pod_ip
        };
        self.ask("the alert service", (find, EVERY), ALERT_ADMIN, "/api/v1/alerts").await
    }

    /// Who is connected to the front door at this admin address. Whoever asks sees to it that this is not too often.
    pub async fn clients(&self, at: SocketAddr) -> Option<Clients> {
        let told = async || {
            let text = self.get(&at.ip().to_string(), at.port(), "/api/v1/clients").await?;
            Ok::<_, Unheard>(serde_json::from_str(&text)?)
        };
        let unheard = |error: &Unheard| tracing::debug!(%at, %error, "a front door does not answer");
        told().await.inspect_err(unheard).ok()
    }

    async fn ask<T: DeserializeOwned + Serialize>(
        &self,
        whom: &str,
        (find, absent): (impl AsyncFnOnce() -> Option<String>, Duration),
        port: u16,
        path: &str,
    ) -> Option<T> {
        let mut known = self.heard().get(whom).cloned().unwrap_or_default();
        let pause = if known.address.is_some() { EVERY } else { absent };
        if known.asked.is_none_or(|asked| asked.elapsed() >= pause) {
            if known.address.is_none() {
                known.address = find().await;
            }
            known.asked = Some(Instant::now());
            if let Some(address) = &known.address {
                match self.get(address, port, path).await {
                    Ok(text) => known.answer = Some((Instant::now(), text)),
                    Err(error) => {
                        tracing::debug!(whom, %error, "no answer");
                        // It may be elsewhere by now: it is looked for at once next time.
                        (known.address, known.asked) = (None, None);
                    }
                }
            }
            self.heard().insert(whom.to_owned(), known.clone());
        }
        let (_, text) = known.answer.filter(|(at, _)| at.elapsed() < BELIEVED)?;
        serde_json::from_str(&text).ok()
    }

    async fn get(&self, address: &str, port: u16, path: &str) -> Result<String, Unheard> {
        let host = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
        let request = self.http.get(format!("http://{host}:{port}{path}")).timeout(PATIENCE);
        let mut answer = request.send().await?.error_for_status()?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            if body.len() + chunk.len() > LONGEST {
                return Err(Unheard::Endless);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    fn heard(&self) -> std::sync::MutexGuard<'_, HashMap<String, Heard>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
