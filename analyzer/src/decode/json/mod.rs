//! JSON as collectd, Telegraf and Vector write it, told apart by its shape.
//!
//! A body is one value, or one a line. Each value is an object or a list of objects; what is wrong with one costs that one.

mod collectd;
mod shape;
mod telegraf;
mod text;
mod vector;

use serde_json::value::RawValue;

use self::shape::{Held, List, Shape};
use super::{
    bad_line::BadLineReason,
    collectd::{identifier::Namer, types_db::TypesDb},
    limits::MAX_OBJECT,
    sample::SampleSink,
};

/// Decodes a message's body.
pub fn decode(body: &[u8], types: &TypesDb, sink: &mut dyn SampleSink) {
    let mut decoder = Decoder { types, namer: Namer::default(), metric: String::new(), sink };
    if let Ok(value) = serde_json::from_slice::<&RawValue>(body) {
        decoder.value(value, Holders::Allowed);
        return;
    }
    for line in body.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()) {
        match serde_json::from_slice::<&RawValue>(line) {
            Ok(value) => decoder.value(value, Holders::Allowed),
            Err(_) => decoder.sink.bad_line(BadLineReason::NotJson, line),
        }
    }
}

/// Whether an object may be one that holds others: once, so that nobody can nest them without end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holders {
    Allowed,
    Refused,
}

struct Decoder<'d> {
    types: &'d TypesDb,
    namer: Namer,
    /// Room for a metric's name.
    metric: String,
    sink: &'d mut dyn SampleSink,
}

impl Decoder<'_> {
    /// An object, or a list of them.
    fn value(&mut self, value: &RawValue, holders: Holders) {
        if !value.get().starts_with('[') {
            self.object(value, holders);
            return;
        }
        let whole = List::each(value, |object| self.object(object, holders));
        if whole.is_err() {
            self.sink.bad_line(BadLineReason::NotJson, value.get().as_bytes());
        }
    }

    fn object(&mut self, value: &RawValue, holders: Holders) {
        if let Err(reason) = self.understand(value.get(), holders) {
            self.sink.bad_line(reason, value.get().as_bytes());
        }
    }

    fn understand(&mut self, text: &str, holders: Holders) -> Result<(), BadLineReason> {
        let shape = serde_json::from_str::<Shape>(text).map_err(|_| BadLineReason::NotJson)?;
        if shape == Shape::Holder && holders == Holders::Allowed {
            let held = serde_json::from_str::<Held<'_>>(text).map_err(|_| BadLineReason::NotJson)?;
            for value in [held.metrics, held.metric].into_iter().flatten() {
                self.value(value, Holders::Refused);
            }
            return Ok(());
        }
        if text.len() > MAX_OBJECT {
            return Err(BadLineReason::ObjectTooLong);
        }
        match shape {
            Shape::Collectd => collectd::value_list(text, self.types, &mut self.namer, self.sink),
            Shape::Telegraf => telegraf::metric(text, &mut self.metric, self.sink),
            Shape::Vector => vector::metric(text, &mut self.metric, self.sink),
            Shape::Notification => {
                self.sink.event();
                Ok(())
            }
            Shape::Holder | Shape::Unknown => Err(BadLineReason::UnknownShape),
        }
    }
}

#[cfg(test)]
mod tests;
