//! Hands mail to a server by SMTP (RFC 5321), one recipient a transaction.

use std::{error::Error as _, future::Future, time::Duration};

use lettre::{
    Address,
    transport::smtp::{
        Error as SmtpError,
        authentication::{Credentials, Mechanism},
        client::{AsyncSmtpConnection, Certificate, TlsParameters},
        commands::{Data, Mail, Rcpt},
        extension::{ClientId, Extension, MailParameter},
    },
};

use super::{
    failure::Failure,
    smtp_url::{Security, SmtpUrl},
};
use crate::AlertError;

/// How long a server may take from the connection to its answer to RCPT.
const OPEN: Duration = Duration::from_secs(30);
/// How long it may take from DATA to its answer. RFC 5321, 4.5.3.2.6: giving up sooner sends mail twice.
const HAND_OVER: Duration = Duration::from_mins(10);
/// How long it may take to say good-bye.
const QUIT: Duration = Duration::from_secs(5);

/// A mail server.
pub(crate) struct Smtp {
    url: SmtpUrl,
    tls: Option<TlsParameters>,
    hello: ClientId,
}

/// A mail transaction whose recipient was accepted.
pub(crate) struct Session(AsyncSmtpConnection);

/// Where in the conversation an error happened.
#[derive(Clone, Copy)]
enum Stage {
    Connect,
    Auth,
    Transaction(&'static str),
}

impl Smtp {
    /// Prepares the way to a server; connects to nothing.
    pub(crate) fn new(url: SmtpUrl) -> Result<Self, AlertError> {
        let tls = match url.security {
            Security::Plain => None,
            Security::Opportunistic | Security::StartTls | Security::Implicit => Some(tls(&url)?),
        };
        Ok(Self { url, tls, hello: ClientId::default() })
    }

    /// Host and port.
    pub(crate) const fn server(&self) -> &SmtpUrl {
        &self.url
    }

    /// Connects, and names sender and recipient.
    pub(crate) async fn open(&self, from: &Address, to: &Address) -> Result<Session, Failure> {
        let opened = within(OPEN, "connection, greeting, MAIL and RCPT", async {
            let mut connection = self.connect().await?;
            match self.envelope(&mut connection, from, to).await {
                Ok(()) => Ok(Session(connection)),
                Err(failure) => {
                    Session(connection).quit().await;
                    Err(failure)
                }
            }
        });
        opened.await.map_err(|failure| self.at_server(failure))
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Failure> {
        let connecting = |error| failure(Stage::Connect, &error);
        let SmtpUrl { host, port, security, credentials, .. } = &self.url;
        let wrapper = self.tls.clone().filter(|_| *security == Security::Implicit);
        let mut connection = AsyncSmtpConnection::connect_tokio1(
            (host.as_str(), *port),
            Some(OPEN),
            &self.hello,
            wrapper,
            None,
        )
        .await
        .map_err(connecting)?;
        let upgrade = match security {
            Security::Plain | Security::Implicit => None,
            Security::StartTls if !connection.can_starttls() => {
                Session(connection).quit().await;
                let reason = "the server offers no STARTTLS; if it need not be encrypted, write ?tls=none";
                return Err(Failure::Configuration(reason.into()));
            }
            Security::StartTls => self.tls.clone(),
            Security::Opportunistic => self.tls.clone().filter(|_| connection.can_starttls()),
        };
        if let Some(tls) = upgrade {
            connection.starttls(tls, &self.hello).await.map_err(connecting)?;
        }
        if let Some((user, password)) = credentials {
            let credentials = Credentials::new(user.clone(), password.clone());
            if let Err(error) = connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials).await {
                let failure = failure(Stage::Auth, &error);
                Session(connection).quit().await;
                return Err(failure);
            }
        }
        Ok(connection)
    }

    async fn envelope(
        &self,
        connection: &mut AsyncSmtpConnection,
        from: &Address,
        to: &Address,
    ) -> Result<(), Failure> {
        let unicode = [from, to].iter().any(|address| !AsRef::<str>::as_ref(address).is_ascii());
        if unicode && !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            return Err(Failure::Permanent(
                "the server takes no addresses beyond ASCII (it offers no SMTPUTF8)".into(),
            ));
        }
        let parameters = if unicode { vec![MailParameter::SmtpUtfEight] } else { vec![] };
        let mail = Mail::new(Some(from.clone()), parameters);
        connection.command(mail).await.map_err(|error| failure(Stage::Transaction("MAIL FROM"), &error))?;
        let rcpt = Rcpt::new(to.clone(), vec![]);
        connection.command(rcpt).await.map_err(|error| failure(Stage::Transaction("RCPT TO"), &error))?;
        Ok(())
    }

    fn at_server(&self, failure: Failure) -> Failure {
        let at = |text: String| format!("{}: {text}", self.url);
        match failure {
            Failure::Temporary(text) => Failure::Temporary(at(text)),
            Failure::Configuration(text) => Failure::Configuration(at(text)),
            Failure::Permanent(text) => Failure::Permanent(at(text)),
        }
    }
}

impl Session {
    /// Hands the mail over. When it fails midway the server may have taken it all the same.
    pub(crate) async fn send(mut self, mail: &[u8]) -> Result<(), Failure> {
        let handed = within(HAND_OVER, "DATA", async {
            self.0.command(Data).await.map_err(|error| failure(Stage::Transaction("DATA"), &error))?;
            self.0.message(mail).await.map_err(|error| failure(Stage::Transaction("the mail"), &error))
        });
        let result = handed.await.map(|_| ());
        self.quit().await;
        result
    }

    /// Leaves without handing anything over.
    pub(crate) async fn quit(mut self) {
        // Whether the server answers the good-bye does not matter.
        let _ = tokio::time::timeout(QUIT, self.0.abort()).await;
    }
}

async fn within<T>(
    limit: Duration,
    what: &str,
    step: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(limit, step).await {
        Ok(result) => result,
        Err(_) => Err(Failure::Temporary(format!("no answer within {} s ({what})", limit.as_secs()))),
    }
}

fn failure(stage: Stage, error: &SmtpError) -> Failure {
    let reply = match (error.status(), error.source()) {
        (Some(code), Some(text)) => format!("{code} {text}"),
        (Some(code), None) => code.to_string(),
        (None, Some(source)) => innermost(source),
        (None, None) => error.to_string(),
    };
    let code = error.status().map(u16::from);
    match stage {
        Stage::Connect => Failure::Temporary(reply),
        Stage::Auth if error.is_permanent() || error.is_client() => {
            Failure::Configuration(format!("AUTH: {reply}; check the user and password of --smtp"))
        }
        Stage::Auth => Failure::Temporary(format!("AUTH: {reply}")),
        // RFC 4954: the server wants to know who we are first, or wants it encrypted.
        Stage::Transaction(step) if matches!(code, Some(530 | 534 | 535 | 538)) => {
            Failure::Configuration(format!("{step}: {reply}; give --smtp a user and password"))
        }
        Stage::Transaction(step) if error.is_permanent() => Failure::Permanent(format!("{step}: {reply}")),
        Stage::Transaction(step) => Failure::Temporary(format!("{step}: {reply}")),
    }
}

/// What the operating system or TLS said, without the layers around it.
fn innermost(source: &(dyn std::error::Error + 'static)) -> String {
    let mut source = source;
    while let Some(inner) = source.source() {
        source = inner;
    }
    match source.to_string().as_str() {
        "incomplete response" => "the server closed the connection".into(),
        text => text.into(),
    }
}

fn tls(url: &SmtpUrl) -> Result<TlsParameters, AlertError> {
    let error = |reason: String| AlertError::Tls { server: url.to_string(), reason };
    let mut parameters = TlsParameters::builder(url.host.clone());
    if url.security == Security::Opportunistic {
        // Whoever stands in between could as well withhold STARTTLS: a certificate that does not hold is no worse than none.
        parameters = parameters.dangerous_accept_invalid_certs(true).dangerous_accept_invalid_hostnames(true);
    }
    if let Some(file) = &url.ca {
        let pem = std::fs::read(file).map_err(|source| error(format!("{}: {source}", file.display())))?;
        let ca = Certificate::from_pem(&pem).map_err(|source| {
            error(format!("{} is no PEM file of certificates ({source})", file.display()))
        })?;
        parameters = parameters.add_root_certificate(ca);
    }
    parameters.build().map_err(|source| error(source.to_string()))
}
