//! Asking the analyzers of a process at its admin address.

use std::time::Duration;

use anyhow::{Context, bail};
use kinetic_api::control::Notice;
use reqwest::{Client, Response, header};
use tokio::{sync::mpsc, task::JoinHandle, time};
use url::Url;

use super::{
    ask::{Heard, Question, Report},
    message::{CONTROL, NOTICES, Posted},
    place::Target,
};

/// How long to wait before the notices are asked for again.
const AGAIN: Duration = Duration::from_secs(1);
/// What the way there and back may take beyond the answers.
const ROUND_TRIP: Duration = Duration::from_secs(10);
/// No notice is longer.
const LONGEST_LINE: usize = 1 << 20;

/// An admin address.
#[derive(Debug)]
pub(super) struct Admin {
    client: Client,
    url: Url,
    vhost: Option<String>,
    notices: mpsc::Receiver<Notice>,
    listening: JoinHandle<()>,
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Admin {
    pub(super) async fn open(url: Url, vhost: Option<String>) -> anyhow::Result<Self> {
        let client = Client::new();
        let first = subscribe(&client, &url, vhost.as_deref()).await?;
        let (sender, notices) = mpsc::channel(1000);
        let listening = tokio::spawn(listen(client.clone(), url.clone(), vhost.clone(), first, sender));
        Ok(Self { client, url, vhost, notices, listening })
    }

    pub(super) async fn hear(&mut self) -> Heard {
        match self.notices.recv().await {
            Some(notice) => Heard::Notice(notice),
            // The task ends with us only.
            None => std::future::pending().await,
        }
    }

    pub(super) async fn ask(
        &mut self,
        question: &Question,
        hear: &mut impl FnMut(Heard),
    ) -> anyhow::Result<Report> {
        let Question { target, command, by, patience, expect } = question;
        let posted = Posted {
            vhost: self.vhost.clone(),
            controller: match target {
                Target::All => None,
                Target::Topology(topology) => Some(topology.clone()),
                Target::Analyzer(topology, number) => Some(format!("{topology}.{number}")),
            },
            opcode: command.opcode(),
            body: command.to_json(),
            by: Some(by.clone()),
            timeout: kinetic_api::duration::Duration::from_millis(
                u64::try_from(patience.as_millis()).unwrap_or(u64::MAX),
            ),
            expect: *expect,
        };
        // Who is there is asked first, and takes as long again.
        let answered = self
            .client
            .post(self.url.join(CONTROL)?)
            .header(header::CONTENT_TYPE, "application/json")
            .timeout(*patience * 2 + ROUND_TRIP)
            .body(serde_json::to_vec(&posted)?)
            .send()
            .await
            .with_context(|| format!("{}: no answer", self.url))?;
        let answered = good(answered)
            .await?
            .bytes()
            .await
            .with_context(|| format!("{}: the answer broke off", self.url))?;
        while let Ok(notice) = self.notices.try_recv() {
            hear(Heard::Notice(notice));
        }
        serde_json::from_slice(&answered)
            .with_context(|| format!("{}: this is no answer of Kinetic's", self.url))
    }
}

/// What says that it is good, or the text of what is wrong.
async fn good(response: Response) -> anyhow::Result<Response> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let text = response.text().await.unwrap_or_default();
    bail!("{status}: {}", text.trim());
}

async fn subscribe(client: &Client, url: &Url, vhost: Option<&str>) -> anyhow::Result<Response> {
    let mut address = url.join(NOTICES)?;
    if let Some(vhost) = vhost {
        address.query_pairs_mut().append_pair("vhost", vhost);
    }
    let sent = time::timeout(ROUND_TRIP, client.get(address).send()).await;
    let response = sent.with_context(|| format!("{url}: no answer"))?.with_context(|| {
        format!("{url}: cannot be reached; is `kinetic run` running there, with this --admin address?")
    })?;
    good(response).await
}

/// Reads notices, and subscribes again when they end.
async fn listen(
    client: Client,
    url: Url,
    vhost: Option<String>,
    first: Response,
    told: mpsc::Sender<Notice>,
) {
    let mut response = Some(first);
    loop {
        if let Some(mut response) = response.take() {
            let mut text = Vec::new();
            while let Ok(Some(chunk)) = response.chunk().await {
                text.extend_from_slice(&chunk);
                while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = text.drain(..=end).collect();
                    if let Ok(notice) = serde_json::from_slice(&line)
                        && told.send(notice).await.is_err()
                    {
                        return;
                    }
                }
                if text.len() > LONGEST_LINE {
                    break;
                }
            }
        }
        time::sleep(AGAIN).await;
        response = subscribe(&client, &url, vhost.as_deref()).await.ok();
    }
}
