//! A retained stream as input.

use std::time::Duration;

use jiff::Timestamp;
use kinetic_analyzer::backtest::{
    Replay,
    retained::{self, End},
};
use kinetic_api::{duration::Duration as Span, plan::SourcePlan};
use kinetic_bus::{AmqpConfig, Bus, StreamOffset};
use percent_encoding::percent_decode_str;
use url::Url;

use super::error::BacktestError;

/// How long the broker may take to answer first.
const PATIENCE: Duration = Duration::from_secs(15);

/// Where a stream is, and from when on it is read.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    /// The address without what is ours.
    url: String,
    vhost: String,
    /// The stream's name, if the address says it.
    name: Option<String>,
    since: Option<Span>,
}

impl Stream {
    /// Whether an input is a stream's address.
    pub(super) fn is(input: &str) -> bool {
        ["amqp://", "amqps://"].iter().any(|scheme| input.starts_with(scheme))
    }

    /// Reads `amqp://user:password@host:port/vhost?stream=NAME&since=24h`.
    pub(super) fn parse(input: &str) -> Result<Self, BacktestError> {
        let invalid = |reason: String| BacktestError::Address { reason };
        let mut url = Url::parse(input).map_err(|error| invalid(error.to_string()))?;
        let vhost = percent_decode_str(url.path().trim_start_matches('/')).decode_utf8_lossy().into_owned();
        let (mut name, mut since, mut others) = (None, None, Vec::new());
        for (key, value) in url.query_pairs() {
            match &*key {
                "stream" => name = Some(value.into_owned()),
                "since" => {
                    let span = value.parse::<Span>();
                    since = Some(span.map_err(|error| invalid(format!("since: {error}")))?);
                }
                _ => others.push((key.into_owned(), value.into_owned())),
            }
        }
        url.set_query(None);
        if !others.is_empty() {
            url.query_pairs_mut().extend_pairs(others);
        }
        let vhost = if vhost.is_empty() { "/".to_owned() } else { vhost };
        Ok(Self { url: url.into(), vhost, name, since })
    }

    /// The stream's name: the address', or else that of the source.
    pub(super) fn name<'a>(&'a self, source: Option<&'a SourcePlan>) -> Result<&'a str, BacktestError> {
        let of_source = || source.map(|source| source.stream.as_str());
        self.name.as_deref().or_else(of_source).ok_or(BacktestError::NoStream)
    }

    /// Reads what is retained, up to what is the end now.
    pub(super) async fn read(
        &self,
        name: &str,
        source: &SourcePlan,
        replay: &mut Replay,
    ) -> Result<(), BacktestError> {
        let config = AmqpConfig::new(&self.url, &self.vhost)?.with_connection_name("kinetic backtest");
        let bus = Bus::amqp(config);
        bus.connected(PATIENCE).await?;
        let from = self.since.map_or(StreamOffset::First, |ago| {
            let since = Timestamp::now().as_second().saturating_sub(ago.as_millis() / 1000);
            StreamOffset::Since(since.max(0).unsigned_abs())
        });
        let end = retained::read(&bus, name, from, source, replay).await;
        bus.close().await;
        match end? {
            End::Reached => Ok(()),
            End::Nothing => Err(BacktestError::EmptyStream { stream: name.to_owned() }),
            End::Stalled { offset, last } => {
                Err(BacktestError::Stalled { stream: name.to_owned(), offset, last })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_says_which_stream_and_from_when() {
        let address = "amqp://me:secret@broker:5673/us-west.aws.acme?stream=kinetic.metrics.web.pages&since=24h&heartbeat=5";
        let stream = Stream::parse(address).unwrap();
        assert_eq!(stream.url, "amqp://me:secret@broker:5673/us-west.aws.acme?heartbeat=5");
        assert_eq!(
            (stream.vhost.as_str(), stream.name.as_deref()),
            ("us-west.aws.acme", Some("kinetic.metrics.web.pages"))
        );
        assert_eq!(stream.since.map(Span::as_millis), Some(86_400_000));
        let plain = Stream::parse("amqp://broker").unwrap();
        assert_eq!((plain.vhost.as_str(), plain.name, plain.since), ("/", None, None));
        assert!(Stream::parse("amqp://broker?since=often").is_err());
        assert!(Stream::is(address) && !Stream::is("amqp.csv"));
    }
}
