//! A message becomes a mail: text and HTML, with a chart for each of the first incidents.

mod context;
mod phrase;
mod template;

use std::time::SystemTime;

use kinetic_api::anomaly::Anomaly;
use lettre::{
    Message,
    message::{
        Attachment, Mailbox, MultiPart, SinglePart,
        header::{ContentType, HeaderName, HeaderValue},
    },
};
use minijinja::{Value, value::Serde};

use self::{
    context::Context,
    template::{Output, render},
};
use crate::{
    chart,
    notification::{Entry, Notification},
    store::Parcel,
};

/// The charts that a mail shows at most.
pub(crate) const MAX_CHARTS: usize = 3;
/// The characters of a subject at most.
const MAX_SUBJECT: usize = 200;

const TEXT: &str = include_str!("mail.txt.jinja");
const HTML: &str = include_str!("mail.html.jinja");

/// A mail, ready to be handed over.
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    /// Its subject, decoded.
    pub(crate) subject: String,
    /// The whole mail, as RFC 5322 has it.
    pub(crate) bytes: Vec<u8>,
    /// How many of the receiver's templates failed.
    pub(crate) broken_templates: u64,
}

/// Why a message cannot become a mail.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MailError {
    /// None of the receiver's addresses is one.
    #[error("none of the receiver's addresses is one: {0}")]
    Nobody(String),
    /// The mail cannot be put together.
    #[error("the mail cannot be put together: {0}")]
    Build(#[from] lettre::error::Error),
    /// Kinetic's own template fails: a defect.
    #[error("kinetic's own template fails: {0}")]
    Template(String),
}

/// Composes the mail of a message: the same bytes however often.
pub(crate) fn compose(parcel: &Parcel, from: &Mailbox) -> Result<Mail, MailError> {
    let notification = &parcel.notification;
    let domain = from.email.domain();
    let charts = charts(parcel, domain);
    let cids: Vec<_> = charts.iter().map(|chart| (chart.incident.clone(), chart.cid.clone())).collect();
    let mut context = Context::new(notification, &cids);
    let values = Value::from(Serde(&context));
    let mut own = |name: &str, source: &Option<String>| -> Option<String> {
        match render(name, source.as_deref()?, Output::Text, &values) {
            Ok(text) => Some(text),
            Err(error) => {
                let Notification { customer, alert, receiver, .. } = notification;
                tracing::warn!(
                    customer,
                    alert,
                    receiver,
                    error,
                    "a template is broken: Kinetic's own is used"
                );
                context.problems.push(error);
                None
            }
        }
    };
    let subject = own("subjectTemplate", &notification.subject_template);
    let body = own("bodyTemplate", &notification.body_template);
    let broken_templates = context.problems.len() as u64;
    let subject = line(&subject.unwrap_or_else(|| context.subject.clone()), MAX_SUBJECT);
    context.body = body;
    let values = Value::from(Serde(&context));
    let text = render("mail.txt", TEXT, Output::Text, &values).map_err(MailError::Template)?;
    let html = render("mail.html", HTML, Output::Html, &values).map_err(MailError::Template)?;

    let boundary = |part: &str| format!("kinetic-{}-{part}", notification.id());
    let mut related = MultiPart::related().boundary(boundary("related")).singlepart(SinglePart::html(html));
    for chart in charts {
        let png = ContentType::parse("image/png").expect("a content type");
        related = related.singlepart(Attachment::new_inline(chart.cid).body(chart.png, png));
    }
    let parts = MultiPart::alternative()
        .boundary(boundary("alternative"))
        .singlepart(SinglePart::plain(text))
        .multipart(related);
    let mail = headers(notification, from, &subject)?.multipart(parts)?;
    Ok(Mail { subject, bytes: mail.formatted(), broken_templates })
}

fn headers(
    notification: &Notification,
    from: &Mailbox,
    subject: &str,
) -> Result<lettre::message::MessageBuilder, MailError> {
    let domain = from.email.domain();
    let id = |id: String| format!("<{id}@{domain}>");
    let Notification { customer, topology, alert, receiver, .. } = notification;
    let incidents: Vec<_> = notification.entries.iter().map(|entry| entry.incident.as_str()).collect();
    let mut message = Message::builder()
        .message_id(Some(id(notification.id())))
        .date(SystemTime::from(notification.at))
        .from(from.clone())
        .subject(subject);
    let to: Vec<Mailbox> = notification.to.iter().filter_map(|to| to.parse().ok()).collect();
    if to.is_empty() {
        return Err(MailError::Nobody(line(&notification.to.join(", "), MAX_SUBJECT)));
    }
    for to in to {
        message = message.to(to);
    }
    if notification.sequence > 1 {
        let first = id(notification.first_id());
        message = message.in_reply_to(first.clone()).references(first);
    }
    let named = [
        ("Auto-Submitted", "auto-generated".to_owned()),
        ("List-Id", format!("{alert} <{alert}.{topology}.{customer}.kinetic>")),
        ("X-Kinetic-Customer", customer.clone()),
        ("X-Kinetic-Topology", topology.clone()),
        ("X-Kinetic-Alert", alert.clone()),
        ("X-Kinetic-Receiver", receiver.clone()),
        ("X-Kinetic-Reason", notification.reason.to_string()),
        ("X-Kinetic-Sequence", notification.sequence.to_string()),
        ("X-Kinetic-Incidents", incidents.join(" ")),
    ];
    for (name, value) in named {
        let name = HeaderName::new_from_ascii_str(name);
        message = message.raw_header(HeaderValue::new(name, line(&value, usize::MAX)));
    }
    Ok(message)
}

/// A chart and the incident that it shows.
struct Chart {
    incident: String,
    cid: String,
    png: Vec<u8>,
}

/// Draws what is there to draw; a chart that fails is left out, since the words say the same.
fn charts(parcel: &Parcel, domain: &str) -> Vec<Chart> {
    let entries = parcel.notification.entries.iter().take(MAX_CHARTS);
    let found = |entry: &Entry| -> Option<&Anomaly> {
        parcel.findings.iter().find(|finding| finding.id == entry.chart)
    };
    entries
        .filter_map(|entry| {
            let finding = found(entry)?;
            match chart::png(finding) {
                Ok(png) => Some(Chart {
                    incident: entry.incident.clone(),
                    cid: format!("{}@{domain}", entry.incident),
                    png,
                }),
                Err(error) => {
                    tracing::warn!(incident = entry.incident, %error, "a chart cannot be drawn: the mail goes without it");
                    None
                }
            }
        })
        .collect()
}

/// One line for a header: no control characters, no runs of white space, so that nothing can begin a header of its own.
fn line(text: &str, limit: usize) -> String {
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    let line = words.join(" ");
    match line.char_indices().nth(limit) {
        None => line,
        Some((at, _)) => format!("{}…", line[..at].trim_end()),
    }
}

#[cfg(test)]
mod tests;
