//! What the windows know, saved and restored. Spellings are not: they are learned again as they come.

use serde::{Deserialize, Serialize};

use super::{Counters, Rates, Registry, Table, Watermark, WindowConfig, Windows};
use crate::{
    image::{ImageError, Reader, Writer},
    window::{Names, SeriesId},
};

#[derive(Serialize)]
struct Saved<'a> {
    known: (&'a Names, &'a [SeriesId]),
    table: &'a Table,
    rates: &'a Rates,
    watermark: Watermark,
    next: Option<i64>,
    next_eviction_ms: i64,
    counters: Counters,
}

#[derive(Deserialize)]
struct Restored {
    known: (Names, Vec<SeriesId>),
    table: Table,
    rates: Rates,
    watermark: Watermark,
    next: Option<i64>,
    next_eviction_ms: i64,
    counters: Counters,
}

impl Windows {
    /// Writes what it knows, for [`Self::restore`].
    pub(crate) fn save(&self, image: &mut Writer<'_>) {
        let Self { registry, table, rates, watermark, next, next_eviction_ms, counters, .. } = self;
        image.put(&Saved {
            known: registry.known(),
            table,
            rates,
            watermark: *watermark,
            next: *next,
            next_eviction_ms: *next_eviction_ms,
            counters: *counters,
        });
    }

    /// The windows that an image was made of.
    ///
    /// # Errors
    /// It is none of this version's.
    pub(crate) fn restore(config: WindowConfig, image: &mut Reader<'_>) -> Result<Self, ImageError> {
        let Restored { known: (names, free), table, rates, watermark, next, next_eviction_ms, counters } =
            image.get()?;
        let (rule, max_series) = (config.origin.clone(), config.max_series);
        Ok(Self {
            registry: Registry::restore(rule, max_series, names, free),
            table,
            rates,
            watermark,
            next,
            next_eviction_ms,
            counters,
            ..Self::new(config)
        })
    }
}
