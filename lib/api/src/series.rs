//! What a series is called.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A series' name: the metric (its origin taken out), the tags (sorted, the origin's own taken out) and the origin.
///
/// It is displayed as `metric{tag=value,…}@origin`: the `subject` of an anomaly.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SeriesName {
    /// The metric, such as `page.checkout.time`.
    pub metric: String,
    /// The tags, sorted by key; a tag without a value has an empty one.
    pub tags: Vec<(String, String)>,
    /// Who sent it, such as `web-3`.
    pub origin: String,
}

impl fmt::Display for SeriesName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.metric)?;
        for (n, (key, value)) in self.tags.iter().enumerate() {
            write!(f, "{}{key}", if n == 0 { '{' } else { ',' })?;
            if !value.is_empty() {
                write!(f, "={value}")?;
            }
        }
        if !self.tags.is_empty() {
            f.write_str("}")?;
        }
        if !self.origin.is_empty() {
            write!(f, "@{}", self.origin)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn displays_what_there_is() {
        let mut name = SeriesName { metric: "cpu".into(), ..SeriesName::default() };
        assert_eq!(name.to_string(), "cpu");
        name.origin = "web-3".into();
        name.tags = vec![("canary".into(), String::new()), ("env".into(), "prod".into())];
        assert_eq!(name.to_string(), "cpu{canary,env=prod}@web-3");
    }
}
