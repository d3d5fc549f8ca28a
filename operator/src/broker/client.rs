//! RabbitMQ's HTTP interface: a call for each list and for each change, and nothing else.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use kinetic_api::role::Permissions;
use reqwest::{Method, StatusCode, Url};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::state::{Binding, BrokerState, Change, Policy, Vhost};
use crate::http::Http;

/// Why a broker was not looked at, or not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// The address cannot be used.
    #[error(
        "`{0}` is no address of a broker's HTTP interface: write http://host:15672 or https://host:15671"
    )]
    Address(String),
    /// There is no TLS to be had.
    #[error("{0}")]
    Tls(String),
    /// No answer.
    #[error("{url} does not answer: {cause}")]
    Unreachable {
        /// Whom was asked.
        url: String,
        /// The cause.
        cause: String,
    },
    /// The operator's user is not let in.
    #[error(
        "{url} refuses the user {user} ({status}): its password is wrong, or it lacks the tag `administrator`"
    )]
    Denied {
        /// Whom was asked.
        url: String,
        /// As whom.
        user: String,
        /// The answer.
        status: u16,
    },
    /// Another refusal.
    #[error("{call}: {status}: {text}")]
    Refused {
        /// What was asked.
        call: String,
        /// The answer's code.
        status: u16,
        /// The answer.
        text: String,
    },
    /// The answer is not what RabbitMQ answers.
    #[error("{call}: this is no answer of RabbitMQ's: {cause}")]
    Answer {
        /// What was asked.
        call: String,
        /// What is wrong.
        cause: String,
    },
}

/// A broker's HTTP interface, as an administrator.
#[derive(Clone)]
pub struct Client {
    http: Http,
    url: Url,
    user: String,
    password: String,
}

/// Without the password.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({} as {})", self.url, self.user)
    }
}

impl Client {
    /// `url` is `http://host:15672` or `https://host:15671`, without user and password; `authorities` vouch for the latter.
    pub fn new(
        url: &str,
        authorities: Option<PathBuf>,
        user: String,
        password: String,
    ) -> Result<Self, BrokerError> {
        let wrong = || BrokerError::Address(url.to_owned());
        let parsed = Url::parse(url).map_err(|_| wrong())?;
        if parsed.host().is_none() || !parsed.username().is_empty() {
            return Err(wrong());
        }
        let http = match parsed.scheme() {
            "http" => Http::plain(),
            "https" => Http::tls(authorities),
            _ => return Err(wrong()),
        };
        let http = http.map_err(|error| BrokerError::Tls(error.to_string()))?;
        Ok(Self { http, url: parsed, user, password })
    }

    /// As whom it comes.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Everything that the operator looks at: nine calls, whatever there is.
    pub async fn state(&self) -> Result<BrokerState, BrokerError> {
        let mut state = BrokerState::default();
        for vhost in self.list::<NamedVhost>("vhosts?columns=name,description").await? {
            let description = vhost.description.unwrap_or_default();
            state.vhosts.insert(vhost.name, Vhost { description, ..Vhost::default() });
        }
        for user in self.list::<NamedUser>("users").await? {
            state.users.insert(user.name, user.password_hash);
        }
        let within = |state: &mut BrokerState, vhost: &str, put: &mut dyn FnMut(&mut Vhost)| {
            // What was made since the vhosts were listed is seen the next time.
            state.vhosts.get_mut(vhost).map(put);
        };
        for limits in self.list::<Limits>("vhost-limits").await? {
            let put = &mut |vhost: &mut Vhost| vhost.limits.clone_from(&limits.value);
            within(&mut state, &limits.vhost, put);
        }
        for p in self.list::<UserPermissions>("permissions").await? {
            let permissions = Permissions { configure: p.configure, write: p.write, read: p.read };
            let put = &mut |v: &mut Vhost| drop(v.permissions.insert(p.user.clone(), permissions.clone()));
            within(&mut state, &p.vhost, put);
        }
        for p in self.list::<TopicPermissions>("topic-permissions").await? {
            let key = (p.user, p.exchange);
            let keys = (p.write, p.read);
            let put = &mut |v: &mut Vhost| drop(v.topic_permissions.insert(key.clone(), keys.clone()));
            within(&mut state, &p.vhost, put);
        }
        for exchange in self.list::<Exchange>("exchanges?columns=vhost,name,type").await? {
            let put =
                &mut |v: &mut Vhost| drop(v.exchanges.insert(exchange.name.clone(), exchange.kind.clone()));
            within(&mut state, &exchange.vhost, put);
        }
        for queue in self.list::<Queue>("queues?disable_stats=true&columns=vhost,name,arguments").await? {
            let put = &mut |v: &mut Vhost| drop(v.queues.insert(queue.name.clone(), queue.arguments.clone()));
            within(&mut state, &queue.vhost, put);
        }
        for b in self.list::<ListedBinding>("bindings").await? {
            // Every queue is bound to the default exchange, which has no name.
            if b.destination_type == "queue" && !b.source.is_empty() {
                let binding = Binding { exchange: b.source, queue: b.destination, key: b.routing_key };
                let put = &mut |v: &mut Vhost| _ = v.bindings.insert(binding.clone());
                within(&mut state, &b.vhost, put);
            }
        }
        for p in self.list::<ListedPolicy>("policies").await? {
            let policy = Policy { pattern: p.pattern, priority: p.priority, definition: p.definition };
            let put = &mut |v: &mut Vhost| drop(v.policies.insert(p.name.clone(), policy.clone()));
            within(&mut state, &p.vhost, put);
        }
        Ok(state)
    }

    /// What a vhost says of itself at this moment, if it is there.
    pub async fn description(&self, vhost: &str) -> Result<Option<String>, BrokerError> {
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["api", "vhosts", vhost]);
        }
        let call = format!("GET {url}");
        let text = match self.ask(Method::GET, url, Value::Null).await {
            Err(BrokerError::Refused { status: 404, .. }) => return Ok(None),
            answered => answered?,
        };
        let vhost: NamedVhost = serde_json::from_str(&text)
            .map_err(|error| BrokerError::Answer { call, cause: error.to_string() })?;
        Ok(Some(vhost.description.unwrap_or_default()))
    }

    /// Makes one change; what is gone already is deleted.
    pub async fn carry_out(&self, change: &Change) -> Result<(), BrokerError> {
        let (put, delete) = (Method::PUT, Method::DELETE);
        match change {
            Change::PutVhost { vhost, description } => {
                self.call(put, &["vhosts", vhost], json!({"description": description, "tags": "kinetic"}))
                    .await
            }
            Change::DeleteVhost { vhost } => self.call(delete, &["vhosts", vhost], Value::Null).await,
            Change::PutLimit { vhost, limit, value } => {
                self.call(put, &["vhost-limits", vhost, limit], json!({"value": value})).await
            }
            Change::PutUser { user, password_hash } => {
                let account = json!({
                    "password_hash": password_hash,
                    "hashing_algorithm": "rabbit_password_hashing_sha256",
                    "tags": "",
                });
                self.call(put, &["users", user], account).await
            }
            Change::DeleteUser { user } => self.call(delete, &["users", user], Value::Null).await,
            Change::PutPermissions { vhost, user, permissions } => {
                let Permissions { configure, write, read } = permissions;
                let body = json!({"configure": configure, "write": write, "read": read});
                self.call(put, &["permissions", vhost, user], body).await
            }
            Change::PutTopicPermission { vhost, user, exchange, write, read } => {
                let body = json!({"exchange": exchange, "write": write, "read": read});
                self.call(put, &["topic-permissions", vhost, user], body).await
            }
            Change::PutExchange { vhost, exchange, kind } => {
                self.call(put, &["exchanges", vhost, exchange], json!({"type": kind, "durable": true})).await
            }
            Change::PutQueue { vhost, queue, arguments } => {
                let body = json!({"durable": true, "arguments": arguments});
                self.call(put, &["queues", vhost, queue], body).await
            }
            Change::DeleteQueue { vhost, queue } => {
                self.call(delete, &["queues", vhost, queue], Value::Null).await
            }
            Change::Bind { vhost, binding } => {
                let path = ["bindings", vhost, "e", &binding.exchange, "q", &binding.queue];
                self.call(Method::POST, &path, json!({"routing_key": binding.key})).await
            }
            Change::Unbind { vhost, binding } => {
                // The interface calls a binding without arguments by its key.
                let path = ["bindings", vhost, "e", &binding.exchange, "q", &binding.queue, &binding.key];
                self.call(delete, &path, Value::Null).await
            }
            Change::PutPolicy { vhost, name, policy } => {
                let body = json!({
                    "pattern": policy.pattern,
                    "apply-to": "queues",
                    "priority": policy.priority,
                    "definition": policy.definition,
                });
                self.call(put, &["policies", vhost, name], body).await
            }
            Change::DeletePolicy { vhost, name } => {
                self.call(delete, &["policies", vhost, name], Value::Null).await
            }
        }
    }

    async fn list<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, BrokerError> {
        let url = format!("{}/api/{path}", self.url.as_str().trim_end_matches('/'));
        let url = Url::parse(&url).map_err(|_| BrokerError::Address(url))?;
        let text = self.ask(Method::GET, url.clone(), Value::Null).await?;
        serde_json::from_str(&text)
            .map_err(|error| BrokerError::Answer { call: format!("GET {url}"), cause: error.to_string() })
    }

    async fn call(&self, method: Method, path: &[&str], body: Value) -> Result<(), BrokerError> {
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("api").extend(path);
        }
        let gone = method == Method::DELETE;
        match self.ask(method, url, body).await {
            Err(BrokerError::Refused { status: 404, .. }) if gone => Ok(()),
            answered => answered.map(drop),
        }
    }

    async fn ask(&self, method: Method, url: Url, body: Value) -> Result<String, BrokerError> {
        let call = format!("{method} {url}");
        let http = self.http.client().map_err(|error| BrokerError::Tls(error.to_string()))?;
        let mut request = http.request(method, url).basic_auth(&self.user, Some(&self.password));
        if !body.is_null() {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let unreachable = |error: reqwest::Error| BrokerError::Unreachable {
            url: self.url.to_string(),
            cause: innermost(&error),
        };
        let answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        let text = answer.text().await.map_err(unreachable)?;
        match status {
            _ if status.is_success() => Ok(text),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(BrokerError::Denied {
                url: self.url.to_string(),
                user: self.user.clone(),
                status: status.as_u16(),
            }),
            _ => Err(BrokerError::Refused {
                call,
                status: status.as_u16(),
                text: text.chars().take(500).collect(),
            }),
        }
    }
}

/// The cause that people understand: `Connection refused`, not `error sending request`.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[derive(Deserialize)]
struct NamedVhost {
    name: String,
    /// Absent, or `undefined`, where nobody gave one.
    #[serde(default)]
    description: Option<String>,
}

#[derive(Deserialize)]
struct NamedUser {
    name: String,
    #[serde(default)]
    password_hash: String,
}

#[derive(Deserialize)]
struct Limits {
    vhost: String,
    value: BTreeMap<String, i64>,
}

#[derive(Deserialize)]
struct UserPermissions {
    vhost: String,
    user: String,
    configure: String,
    write: String,
    read: String,
}

#[derive(Deserialize)]
struct TopicPermissions {
    vhost: String,
    user: String,
    exchange: String,
    write: String,
    read: String,
}

#[derive(Deserialize)]
struct Exchange {
    vhost: String,
    name: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Queue {
    vhost: String,
    name: String,
    #[serde(default)]
    arguments: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct ListedBinding {
    vhost: String,
    source: String,
    destination: String,
    destination_type: String,
    routing_key: String,
}

#[derive(Deserialize)]
struct ListedPolicy {
    vhost: String,
    name: String,
    pattern: String,
    priority: i64,
    definition: BTreeMap<String, Value>,
}
