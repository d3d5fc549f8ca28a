//! Where mail goes: the address of a mail server.

use std::{fmt, path::PathBuf, str::FromStr};

use percent_encoding::percent_decode_str;
use url::Url;

/// A mail server's address.
///
/// - `smtp://[user:password@]host[:port]`: port 25, with a user 587. STARTTLS where the server offers it, whatever certificate
///   it shows; with a user (unless the host is this machine) or a `ca` only with STARTTLS and a certificate that holds.
/// - `smtp://…?tls=required`: only with STARTTLS and a certificate that holds; `?tls=none`: never encrypted.
/// - `smtps://[user:password@]host[:port]`: TLS from the first byte; port 465.
/// - `?ca=FILE`: trusts the certificates in this PEM file besides the system's.
///
/// What is special in a user or password is written as in any URL: `%40` for `@`.
#[derive(Clone, PartialEq, Eq)]
pub struct SmtpUrl {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) security: Security,
    pub(crate) credentials: Option<(String, String)>,
    pub(crate) ca: Option<PathBuf>,
}

/// How a connection to a mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Security {
    /// Not at all.
    Plain,
    /// By STARTTLS if the server offers it, whoever it is: no worse than plain.
    Opportunistic,
    /// By STARTTLS and a certificate that holds.
    StartTls,
    /// By TLS from the first byte and a certificate that holds.
    Implicit,
}

/// A text that is no mail server's address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}; write smtp://user:password@host:587 or smtps://user:password@host")]
pub struct SmtpUrlError {
    reason: String,
}

impl FromStr for SmtpUrl {
    type Err = SmtpUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = |reason: String| SmtpUrlError { reason };
        let url =
            Url::parse(text).map_err(|source| error(format!("no address of a mail server ({source})")))?;
        let implicit = match url.scheme() {
            "smtp" => false,
            "smtps" => true,
            other => return Err(error(format!("{other}:// is no way to send mail"))),
        };
        let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(error("the host is missing".into()));
        }
        let host = decode(host).map_err(error)?;
        let credentials = match (url.username(), url.password()) {
            ("", _) => None,
            (_, None) => return Err(error("the user's password is missing".into())),
            (user, Some(password)) => Some((decode(user).map_err(error)?, decode(password).map_err(error)?)),
        };
        let (mut tls, mut ca) = (None, None);
        for (key, value) in url.query_pairs() {
            match (&*key, &*value) {
                ("tls", "required") if !implicit => tls = Some(Security::StartTls),
                ("tls", "none") if !implicit => tls = Some(Security::Plain),
                ("tls", _) => {
                    return Err(error("tls is required or none, and goes with smtp:// only".into()));
                }
                ("ca", file) if !file.is_empty() => ca = Some(PathBuf::from(file)),
                (other, _) => return Err(error(format!("{other} is no option (tls, ca)"))),
            }
        }
        let loopback = ["localhost", "::1"].contains(&host.as_str()) || host.starts_with("127.");
        let security = match tls {
            _ if implicit => Security::Implicit,
            Some(security) => security,
            None if ca.is_some() || (credentials.is_some() && !loopback) => Security::StartTls,
            None => Security::Opportunistic,
        };
        let port = url.port().unwrap_or(match (implicit, &credentials) {
            (true, _) => 465,
            (false, Some(_)) => 587,
            (false, None) => 25,
        });
        Ok(Self { host, port, security, credentials, ca })
    }
}

fn decode(text: &str) -> Result<String, String> {
    percent_decode_str(text)
        .decode_utf8()
        .map(Into::into)
        .map_err(|_| "what is percent-encoded is not UTF-8".into())
}

/// Host and port: no secrets.
impl fmt::Display for SmtpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for SmtpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.credentials.as_ref().map(|(user, _)| user);
        f.debug_struct("SmtpUrl")
            .field("server", &self.to_string())
            .field("security", &self.security)
            .field("user", &user)
            .field("ca", &self.ca)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write() {
        use Security::{Implicit, Opportunistic, Plain, StartTls};
        let cases = [
            ("smtp://localhost", "localhost:25", Opportunistic),
            ("smtp://127.0.0.1:2525", "127.0.0.1:2525", Opportunistic),
            ("smtp://[::1]:2525", "[::1]:2525", Opportunistic),
            ("smtp://u:p@localhost:2525", "localhost:2525", Opportunistic),
            ("smtp://u:p@mail.example", "mail.example:587", StartTls),
            ("smtp://u:p@mail.example?tls=none", "mail.example:587", Plain),
            ("smtp://mail.example?tls=required", "mail.example:25", StartTls),
            ("smtp://mail.example?ca=/etc/ca.pem", "mail.example:25", StartTls),
            ("smtps://mail.example", "mail.example:465", Implicit),
            ("smtps://u:p@mail.example:4465?ca=ca.pem", "mail.example:4465", Implicit),
        ];
        for (text, server, security) in cases {
            let url: SmtpUrl = text.parse().unwrap();
            assert_eq!((url.to_string().as_str(), url.security), (server, security), "{text}");
        }
    }

    #[test]
    fn what_is_special_is_decoded_and_secrets_stay_secret() {
        let url: SmtpUrl = "smtp://ops%40acme.example:p%2Fw+rd@mail.example".parse().unwrap();
        assert_eq!(url.credentials, Some(("ops@acme.example".into(), "p/w+rd".into())));
        assert!(!format!("{url:?} {url}").contains("p/w"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, reason) in [
            ("mail.example", "no address"),
            ("http://mail.example", "http:// is no way"),
            ("smtp://", "host is missing"),
            ("smtp://user@mail.example", "password is missing"),
            ("smtp://mail.example?tls=yes", "tls is required or none"),
            ("smtps://mail.example?tls=none", "tls is required or none"),
            ("smtp://mail.example?auth=plain", "auth is no option"),
            ("smtp://%ff:x@mail.example", "not UTF-8"),
        ] {
            let error = text.parse::<SmtpUrl>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
