//! What the known series are called, each name kept once.

use kinetic_api::series::SeriesName;
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeSeq};

use super::{
    arena::{Arena, At},
    chunked::Chunked,
    sink::SeriesId,
};
use crate::decode::MetricType;

/// Separates the parts of a name; no name holds a control character.
const PART: char = '\u{1f}';

/// The tag that tells apart series which differ in nothing but their type.
pub const TYPE_TAG: &str = "kinetic.type";

/// A series that is in has a name.
const IS_TEXT: &str = "names are pushed as text and read at the same bounds";

/// The names and types of all known series, by id.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// None where an id is free.
    series: Chunked<Option<Series>>,
    /// [`Name`]s.
    texts: Arena,
    /// Bytes of `texts` that nobody needs any more.
    dead: usize,
}

#[derive(Clone, Copy, Debug)]
struct Series {
    at: At,
    length: u16,
    kind: MetricType,
    /// Whether its type is told as a tag.
    typed: bool,
}

/// A series' name as it is kept: metric, origin, then keys and values of the tags, each after a separator but the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name<'a>(&'a str);

impl<'a> Name<'a> {
    /// The metric.
    #[must_use]
    pub fn metric(self) -> &'a str {
        self.parts().next().unwrap_or_default()
    }

    /// Who sends it.
    #[must_use]
    pub fn origin(self) -> &'a str {
        self.parts().nth(1).unwrap_or_default()
    }

    /// Its tags, sorted.
    pub fn tags(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let mut parts = self.parts().skip(2);
        std::iter::from_fn(move || Some((parts.next()?, parts.next()?)))
    }

    /// The same, to keep.
    #[must_use]
    pub fn to_owned(self) -> SeriesName {
        let own = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        SeriesName {
            metric: self.metric().to_owned(),
            tags: self.tags().map(own).collect(),
            origin: self.origin().to_owned(),
        }
    }

    pub(super) fn bytes(self) -> &'a [u8] {
        self.0.as_bytes()
    }

    fn parts(self) -> std::str::Split<'a, char> {
        self.0.split(PART)
    }
}

/// The name as [`Name`] reads it.
pub(super) fn pack(name: &SeriesName) -> String {
    let mut packed = format!("{}{PART}{}", name.metric, name.origin);
    for (key, value) in &name.tags {
        for part in [key, value] {
            packed.push(PART);
            packed.push_str(part);
        }
    }
    packed
}

impl Names {
    /// Gives a series its name, which lasts until [`Self::remove`]. False if there is no room for it.
    pub fn insert(&mut self, id: SeriesId, name: &SeriesName, kind: MetricType) -> bool {
        self.insert_packed(id, &pack(name), kind)
    }

    pub(super) fn insert_packed(&mut self, id: SeriesId, packed: &str, kind: MetricType) -> bool {
        let (Ok(length), Some(at)) = (u16::try_from(packed.len()), self.texts.push([packed.as_bytes(), b""]))
        else {
            return false;
        };
        let place = id.0 as usize;
        while self.series.len() <= place {
            self.series.push(None);
        }
        self.series[place] = Some(Series { at, length, kind, typed: false });
        true
    }

    /// Forgets series.
    pub fn remove(&mut self, ids: &[SeriesId]) {
        for id in ids {
            if let Some(series) = self.series.get_mut(id.0 as usize).and_then(Option::take) {
                self.dead += usize::from(series.length);
            }
        }
        if self.dead > self.texts.len() / 2 {
            let texts = std::mem::take(&mut self.texts);
            for series in self.series.iter_mut().flatten() {
                let text = texts.get(series.at, usize::from(series.length));
                let Some(at) = self.texts.push([text, b""]) else {
                    unreachable!("there was room for more than this")
                };
                series.at = at;
            }
            self.dead = 0;
        }
    }

    /// A series' name.
    #[must_use]
    pub fn get(&self, id: SeriesId) -> Option<Name<'_>> {
        Some(Name(self.text(self.known(id)?)))
    }

    fn text(&self, series: Series) -> &str {
        let text = self.texts.get(series.at, usize::from(series.length));
        std::str::from_utf8(text).expect(IS_TEXT)
    }

    /// A series' name, to keep; empty for one that is not known.
    #[must_use]
    pub fn name(&self, id: SeriesId) -> SeriesName {
        let mut name = self.get(id).map(Name::to_owned).unwrap_or_default();
        if let Some(Series { kind, typed: true, .. }) = self.known(id) {
            name.tags.push((TYPE_TAG.into(), kind.as_str().into()));
            name.tags.sort();
        }
        name
    }

    /// From now on a series is told of with its type as a tag, [`TYPE_TAG`].
    pub(super) fn tell_type(&mut self, id: SeriesId) {
        if let Some(Some(series)) = self.series.get_mut(id.0 as usize) {
            series.typed = true;
        }
    }

    /// Every series.
    pub fn iter(&self) -> impl Iterator<Item = (SeriesId, Name<'_>)> {
        (0..).map(SeriesId).take(self.series.len()).filter_map(|id| Some((id, self.get(id)?)))
    }

    /// A series' type.
    #[must_use]
    pub fn kind(&self, id: SeriesId) -> Option<MetricType> {
        self.known(id).map(|series| series.kind)
    }

    /// So many ids were given out, though some may be free now.
    pub(super) fn ids(&self) -> usize {
        self.series.len()
    }

    fn known(&self, id: SeriesId) -> Option<Series> {
        *self.series.get(id.0 as usize)?
    }
}

impl Serialize for Names {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let names = self.series.iter().map(|series| {
            let series = (*series)?;
            Some((self.text(series), series.kind, series.typed))
        });
        let mut list = serializer.serialize_seq(Some(self.series.len()))?;
        for name in names {
            list.serialize_element(&name)?;
        }
        list.end()
    }
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut names = Self::default();
        for (id, name) in
            (0..).map(SeriesId).zip(Vec::<Option<(String, MetricType, bool)>>::deserialize(deserializer)?)
        {
            match name {
                Some((packed, kind, typed)) if names.insert_packed(id, &packed, kind) => {
                    if typed {
                        names.tell_type(id);
                    }
                }
                _ => names.series.push(None),
            }
        }
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(n: u32) -> SeriesName {
        let tag = |k: &str| (k.to_owned(), n.to_string());
        SeriesName {
            metric: format!("m.{n}"),
            tags: (0..n % 3).map(|k| tag(&k.to_string())).collect(),
            origin: "web".into(),
        }
    }

    #[test]
    fn keeps_what_is_known_and_its_room_only() {
        let mut names = Names::default();
        for round in 0..20 {
            for n in 0..1_000 {
                assert!(names.insert(SeriesId(n), &name(n + round), MetricType::Timer));
            }
            let gone: Vec<_> = (0..1_000).filter(|n| n % 10 != 0).map(SeriesId).collect();
            names.remove(&gone);
            for n in 0..1_000 {
                let want = (n % 10 == 0).then(|| name(n + round));
                assert_eq!(names.get(SeriesId(n)).map(Name::to_owned), want);
                assert_eq!(names.kind(SeriesId(n)), want.map(|_| MetricType::Timer));
            }
            names.remove(&(0..1_000).map(SeriesId).collect::<Vec<_>>());
        }
        assert_eq!(names.texts.len(), 0);
    }

    #[test]
    fn tells_of_a_type_where_it_must() {
        let mut names = Names::default();
        for id in [SeriesId(0), SeriesId(1)] {
            assert!(names.insert(id, &name(1), MetricType::Timer));
        }
        names.tell_type(SeriesId(1));
        let restored: Names = serde_json::from_str(&serde_json::to_string(&names).unwrap()).unwrap();
        for names in [names, restored] {
            assert_eq!(names.name(SeriesId(0)), name(1));
            let typed = names.name(SeriesId(1));
            assert!(typed.tags.is_sorted());
            assert_eq!(typed.tags.len(), name(1).tags.len() + 1);
            assert!(typed.tags.contains(&(TYPE_TAG.into(), MetricType::Timer.as_str().into())));
        }
    }

    #[test]
    fn has_parts() {
        let mut names = Names::default();
        names.insert(SeriesId(0), &name(5), MetricType::Gauge);
        let packed = names.get(SeriesId(0)).unwrap();
        assert_eq!((packed.metric(), packed.origin()), ("m.5", "web"));
        assert_eq!(packed.tags().collect::<Vec<_>>(), [("0", "5"), ("1", "5")]);
        assert_eq!(names.get(SeriesId(1)), None);
    }
}
