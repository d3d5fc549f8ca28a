//! Where to ask, and whom: `HOST[/CONTROLLER]`.

use std::str::FromStr;

use anyhow::{Context, bail};
use percent_encoding::percent_decode_str;
use url::Url;

/// Whom a command is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Every analyzer of the vhost.
    All,
    /// All analyzers of a Topology.
    Topology(String),
    /// One analyzer.
    Analyzer(String, u32),
}

impl FromStr for Target {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (topology, analyzer) = text.split_once('.').unwrap_or((text, "all"));
        let of_label = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if topology.is_empty() || topology.len() > 40 || !topology.chars().all(of_label) {
            bail!(
                "`{text}` names no analyzer: write a Topology, such as web, or one of its analyzers, such as web.0"
            );
        }
        if analyzer == "all" {
            return Ok(Self::Topology(topology.to_owned()));
        }
        let number = analyzer
            .parse()
            .with_context(|| format!("`{text}`: analyzers are numbered from 0: {topology}.0"))?;
        Ok(Self::Analyzer(topology.to_owned(), number))
    }
}

/// Where to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A vhost of a broker.
    Broker { uri: String, vhost: String },
    /// The admin address of a process.
    Process { url: Url, vhost: Option<String> },
}

/// Reads `HOST[/CONTROLLER]`. With a vhost given, the path is the controller only.
pub(super) fn parse(
    host: &str,
    vhost: Option<&str>,
    user: Option<&str>,
    password: Option<&str>,
) -> anyhow::Result<(Place, Option<Target>)> {
    let with_scheme = if host.contains("://") { host.to_owned() } else { format!("amqp://{host}") };
    // What does not parse is not repeated: it may hold a password.
    let mut url = Url::parse(&with_scheme).context(
        "HOST: write amqp://user:password@host:port/vhost, host[:port] with --vhost, or http://127.0.0.1:8181",
    )?;
    let decode = |part: &str| {
        percent_decode_str(part)
            .decode_utf8()
            .map(std::borrow::Cow::into_owned)
            .context("HOST: the path is no text")
    };
    let mut path = url
        .path()
        .split('/')
        .filter(|part| !part.is_empty())
        .map(decode)
        .collect::<anyhow::Result<Vec<_>>>()?
        .into_iter();
    let process = matches!(url.scheme(), "http" | "https");
    if !process && !matches!(url.scheme(), "amqp" | "amqps") {
        bail!("HOST: `{}` is no way to ask: use amqp://, amqps:// or http://", url.scheme());
    }
    let vhost = match vhost {
        Some(vhost) => Some(vhost.to_owned()),
        None if process => None,
        None => path.next(),
    };
    let target = path.next().map(|controller| controller.parse()).transpose()?;
    if path.next().is_some() {
        bail!(
            "HOST: the path has too many parts: write HOST/CONTROLLER (an amqp:// address without --vhost: HOST/VHOST/CONTROLLER)"
        );
    }
    url.set_path("");
    if process {
        return Ok((Place::Process { url, vhost }, target));
    }
    let Some(vhost) = vhost else {
        bail!(
            "whose analyzers? Name the customer's vhost: --vhost us-west.aws.acme, or amqp://host/us-west.aws.acme"
        );
    };
    let set = |done: Result<(), ()>| done.map_err(|()| anyhow::anyhow!("HOST: there is no host in it"));
    if let Some(user) = user {
        set(url.set_username(user))?;
    }
    if url.password().is_none()
        && let Some(password) = password
    {
        set(url.set_password(Some(password)))?;
    }
    Ok((Place::Broker { uri: url.to_string(), vhost }, target))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(uri: &str, vhost: &str) -> Place {
        Place::Broker { uri: uri.into(), vhost: vhost.into() }
    }

    #[test]
    fn hosts_and_controllers() {
        let web = || Some(Target::Topology("web".into()));
        for (host, vhost, expected) in [
            ("amqp://a:b@h:5673/us.aws.acme/web", None, (broker("amqp://a:b@h:5673", "us.aws.acme"), web())),
            ("amqp://h/%2F/web.all", None, (broker("amqp://u:p@h", "/"), web())),
            (
                "h:5673/web.2",
                Some("v"),
                (broker("amqp://u:p@h:5673", "v"), Some(Target::Analyzer("web".into(), 2))),
            ),
            ("h", Some("v"), (broker("amqp://u:p@h", "v"), None)),
            ("amqps://h", Some("v"), (broker("amqps://u:p@h", "v"), None)),
        ] {
            let user = (!host.contains('@')).then_some("u");
            assert_eq!(parse(host, vhost, user, Some("p")).unwrap(), expected, "{host}");
        }
        let url = Url::parse("http://127.0.0.1:8181").unwrap();
        assert_eq!(
            parse("http://127.0.0.1:8181/web", None, None, Some("p")).unwrap(),
            (Place::Process { url, vhost: None }, web())
        );
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        for (host, said) in [
            ("h", "--vhost us-west.aws.acme"),
            ("ftp://h/v", "use amqp://, amqps:// or http://"),
            ("amqp://a:secret@h:port/v", "write amqp://"),
            ("amqp://h/v/web/0", "too many parts"),
            ("amqp://h/v/Web", "`Web` names no analyzer"),
            ("amqp://h/v/web.first", "web.0"),
        ] {
            let error = format!("{:#}", parse(host, None, None, None).unwrap_err());
            assert!(error.contains(said) && !error.contains("secret"), "{host}: {error}");
        }
    }
}
