//! Whoever looks at the windows.

use std::borrow::Cow;

use kinetic_api::series::SeriesName;
use serde::{Deserialize, Serialize};

use super::{accumulator::Accumulator, names::Names, needs::Needs};
use crate::decode::MetricType;

/// A series' number: dense from 0, used again once the series is evicted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SeriesId(pub u32);

/// A stretch of event time `[start, end)`, aligned to the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Its first millisecond since 1970.
    pub start_ms: i64,
    /// The first millisecond after it.
    pub end_ms: i64,
}

/// Whoever looks at the windows.
pub trait WindowSink {
    /// A series is seen for the first time; it is in `names` already. None: nobody looks at it; it is counted, not windowed.
    fn series(&mut self, id: SeriesId, name: &SeriesName, kind: MetricType, names: &Names) -> Option<Needs>;

    /// A window closed; `values` gives the series that had samples, in order of id. Called for every window in order, from
    /// the first that had a sample (or, while there is none, from the first tick) on, empty ones included; of a gap of more
    /// than 200 empty windows that close at once only the first 100 and the last are reported.
    fn closed(
        &mut self,
        window: Window,
        names: &Names,
        values: &mut dyn Iterator<Item = (SeriesId, Cow<'_, Accumulator>)>,
    );

    /// A series is forgotten: it is still in `names`, but its id will be used again.
    fn evicted(&mut self, id: SeriesId, names: &Names);
}
