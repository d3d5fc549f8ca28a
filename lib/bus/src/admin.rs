//! What AMQP cannot do: vhosts, permissions and policies, over RabbitMQ's HTTP interface.

use crate::{BusError, Retention};
use kinetic_api::role::{Permissions, Role, TopicPermission};
use reqwest::{Client, Method, StatusCode, Url};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

/// How long the HTTP interface may take for one call.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The management plugin's HTTP API, as an administrator.
#[derive(Clone)]
pub struct Admin {
    client: Client,
    /// Without user and password.
    url: Url,
    user: String,
    password: String,
}

impl Admin {
    /// `url` is `http://user:password@host:15672`.
    pub fn new(url: &str) -> Result<Self, BusError> {
        let wrong = |reason: &str| BusError::Admin {
            action: "reading the address of the HTTP interface".to_owned(),
            reason: reason.to_owned(),
        };
        let mut url = Url::parse(url).map_err(|error| wrong(&error.to_string()))?;
        if url.scheme() != "http" {
            return Err(wrong("its scheme must be http"));
        }
        let decoded = |text: &str| {
            percent_encoding::percent_decode_str(text)
                .decode_utf8()
                .map(Cow::into_owned)
                .map_err(|_| wrong("user or password are not UTF-8"))
        };
        let user = decoded(url.username())?;
        let password = decoded(url.password().unwrap_or_default())?;
        let cannot_carry = |()| wrong("it has no host");
        url.set_username("").map_err(cannot_carry)?;
        url.set_password(None).map_err(cannot_carry)?;
        // It wants a configuration also where it speaks without TLS. This one trusts nobody.
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong(&error.to_string()))?
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let client = Client::builder().timeout(TIMEOUT).tls_backend_preconfigured(tls).build();
        let client = client.map_err(|error| wrong(&error.to_string()))?;
        Ok(Self { client, url, user, password })
    }

    /// Creates a vhost; one that exists stays as it is.
    pub async fn create_vhost(&self, vhost: &str) -> Result<(), BusError> {
        self.call(Method::PUT, &["vhosts", vhost], "{}".to_owned()).await
    }

    /// Grants a user everything within a vhost: configure, write and read.
    pub async fn grant(&self, vhost: &str, user: &str) -> Result<(), BusError> {
        let all = r#"{"configure":".*","write":".*","read":".*"}"#;
        self.call(Method::PUT, &["permissions", vhost, user], all.to_owned()).await
    }

    /// Creates a role's user on a vhost, with this password and the role's permissions; one that exists gets them anew.
    pub async fn create_user(&self, vhost: &str, role: &Role, password: &str) -> Result<(), BusError> {
        let user = role.user(vhost);
        let account = serde_json::json!({"password": password, "tags": ""});
        self.call(Method::PUT, &["users", &user], account.to_string()).await?;
        let Permissions { configure, write, read } = role.permissions();
        let permissions = serde_json::json!({"configure": configure, "write": write, "read": read});
        self.call(Method::PUT, &["permissions", vhost, &user], permissions.to_string()).await?;
        for TopicPermission { exchange, write, read } in role.topic_permissions() {
            let permissions = serde_json::json!({"exchange": exchange, "write": write, "read": read});
            self.call(Method::PUT, &["topic-permissions", vhost, &user], permissions.to_string()).await?;
        }
        Ok(())
    }

    /// Sets how much of a stream stays readable, by a policy of the stream's own name.
    pub async fn retain(&self, vhost: &str, stream: &str, retention: Retention) -> Result<(), BusError> {
        let policy = serde_json::json!({
            "pattern": format!("^{}$", escaped(stream)),
            "apply-to": "queues",
            // Above what an operator's own catch-all policies are likely to have: only one policy applies to a queue.
            "priority": 100,
            "definition": {
                "max-age": format!("{}s", retention.age.as_secs()),
                "max-length-bytes": retention.bytes,
            },
        });
        self.call(Method::PUT, &["policies", vhost, stream], policy.to_string()).await
    }

    async fn call(&self, method: Method, path: &[&str], body: String) -> Result<(), BusError> {
        let mut url = self.url.clone();
        url.path_segments_mut().expect("an http URL has a path").pop_if_empty().push("api").extend(path);
        let action = format!("{method} {url}");
        let failed = |reason: String| BusError::Admin { action: action.clone(), reason };
        let answer = self
            .client
            .request(method, url)
            .basic_auth(&self.user, Some(&self.password))
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await
            .map_err(|error| failed(innermost(&error)))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let text = answer.text().await.unwrap_or_default();
        Err(failed(match status {
            StatusCode::UNAUTHORIZED => {
                format!("{status}: user {} or its password is wrong, or it is no administrator", self.user)
            }
            _ => format!("{status}: {text}"),
        }))
    }
}

/// Without the password.
impl fmt::Debug for Admin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Admin")
            .field("url", &self.url.as_str())
            .field("user", &self.user)
            .finish_non_exhaustive()
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

/// For a regular expression that means just this name.
fn escaped(name: &str) -> String {
    name.chars().fold(String::new(), |mut escaped, character| {
        if !character.is_alphanumeric() && character != '_' && character != '-' {
            escaped.push('\\');
        }
        escaped.push(character);
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::{Admin, escaped};

    #[test]
    fn a_policys_pattern_means_one_name() {
        assert_eq!(escaped("kinetic.metrics.web.pages"), r"kinetic\.metrics\.web\.pages");
        assert_eq!(escaped("a+b|c-d_e"), r"a\+b\|c-d_e");
    }

    #[test]
    fn the_address_is_parsed_once() {
        let admin = Admin::new("http://me:p%40ss@broker:15672/").unwrap();
        assert_eq!((admin.user.as_str(), admin.password.as_str()), ("me", "p@ss"));
        assert_eq!(admin.url.as_str(), "http://broker:15672/");
        assert!(!format!("{admin:?}").contains("p@ss"));
        assert!(Admin::new("https://me@broker").unwrap_err().to_string().contains("http"));
        assert!(Admin::new("broker:15672").is_err());
    }
}
