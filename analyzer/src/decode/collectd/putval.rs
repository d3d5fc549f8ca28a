//! collectd's plain text protocol, as its amqp plugin writes it with `Format "Command"`.
//!
//! `PUTVAL host/plugin-instance/type-instance interval=10.000 1251533299.123:12:34`: an identifier, options, one or more lists of a time
//! (`N` for now) and a value for each data source (`U` for none). Words may be in quotation marks, with a backslash before one that
//! belongs to the word. Source: collectd-unixsock(5). `PUTNOTIF` is a notification.

use std::borrow::Cow;

use super::{
    identifier::{Identifier, Namer},
    types_db::TypesDb,
};
use crate::decode::{
    bad_line::BadLineReason,
    limits::{MAX_FIELDS, MAX_LINE},
    sample::SampleSink,
    time,
};

/// Decodes a message's body.
pub fn decode(body: &[u8], types: &TypesDb, sink: &mut dyn SampleSink) {
    let mut namer = Namer::default();
    for line in body.split(|b| *b == b'\n') {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        if let Err(reason) = self::line(line, types, &mut namer, sink) {
            sink.bad_line(reason, line);
        }
    }
}

fn line(
    line: &[u8],
    types: &TypesDb,
    namer: &mut Namer,
    sink: &mut dyn SampleSink,
) -> Result<(), BadLineReason> {
    if line.len() > MAX_LINE {
        return Err(BadLineReason::TooLong);
    }
    let mut words = Words(std::str::from_utf8(line).map_err(|_| BadLineReason::NotText)?);
    let command = words.next().transpose()?.unwrap_or_default();
    if command.eq_ignore_ascii_case("PUTNOTIF") {
        sink.event();
        return Ok(());
    }
    if !command.eq_ignore_ascii_case("PUTVAL") {
        return Err(BadLineReason::NoCommand);
    }
    let identifier = words.next().transpose()?.unwrap_or_default();
    let identifier = Identifier::parse(&identifier).ok_or(BadLineReason::BadIdentifier)?;
    let words = words.collect::<Result<Vec<_>, _>>()?;
    let mut lists = words.iter().filter(|word| !is_option(word)).peekable();
    if lists.peek().is_none() {
        return Err(BadLineReason::NoValue);
    }
    for list in lists {
        if let Err(reason) = value_list(list, &identifier, types, namer, line, sink) {
            sink.bad_line(reason, line);
        }
    }
    Ok(())
}

/// Options (`interval=10`) stand before the lists.
fn is_option(word: &str) -> bool {
    word.split_once('=').is_some_and(|(key, _)| !key.is_empty() && !key.contains(':'))
}

fn value_list(
    list: &str,
    identifier: &Identifier<'_>,
    types: &TypesDb,
    namer: &mut Namer,
    line: &[u8],
    sink: &mut dyn SampleSink,
) -> Result<(), BadLineReason> {
    let (time, values) = list.split_once(':').ok_or(BadLineReason::NoValue)?;
    let time_ns = match time {
        "N" => None,
        time => Some(time::seconds(time).ok_or(BadLineReason::BadTime)?),
    };
    let sources = types.sources(identifier.kind);
    let values = values.split(':');
    let count = values.clone().take(MAX_FIELDS + 1).count();
    if count != sources.len() {
        return Err(BadLineReason::WrongValueCount);
    }
    for (source, value) in sources.iter().zip(values) {
        match source.kind.read(value, source.bounds) {
            Ok(Some(reading)) => namer.sample(identifier, &source.name, reading, time_ns, line, sink),
            Ok(None) => sink.gap(),
            Err(reason) => sink.bad_line(reason, line),
        }
    }
    Ok(())
}

/// The words of a line.
struct Words<'a>(&'a str);

impl<'a> Iterator for Words<'a> {
    type Item = Result<Cow<'a, str>, BadLineReason>;

    fn next(&mut self) -> Option<Self::Item> {
        let text = self.0.trim_start_matches([' ', '\t']);
        if text.is_empty() {
            return None;
        }
        let Some(quoted) = text.strip_prefix('"') else {
            let (word, rest) = text.split_at(text.find([' ', '\t']).unwrap_or(text.len()));
            self.0 = rest;
            return Some(Ok(Cow::Borrowed(word)));
        };
        let mut word = String::new();
        let mut chars = quoted.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.0 = &quoted[at + 1..];
                    return Some(Ok(Cow::Owned(word)));
                }
                '\\' => word.extend(chars.next().map(|(_, escaped)| escaped)),
                c => word.push(c),
            }
        }
        self.0 = "";
        Some(Err(BadLineReason::BadQuotes))
    }
}

#[cfg(test)]
mod tests;
