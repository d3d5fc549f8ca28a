//! What is counted about certificates in use.

use std::{
    fmt::{self, Write},
    path::Path,
};

use jiff::Timestamp;
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// Counters of certificates that are followed; clones count into the same ones.
#[derive(Clone, Debug, Default)]
pub struct TlsMetrics {
    reloads: Family<ReloadLabels, Counter>,
    not_after: Family<FileLabels, Gauge>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReloadLabels {
    file: String,
    result: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FileLabels {
    file: String,
}

/// What came of a change in the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Outcome {
    /// New connections use what the files say now.
    Applied,
    /// What the files say is broken: new connections use what they said before.
    Refused,
}

impl EncodeLabelValue for Outcome {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        encoder.write_str(match self {
            Self::Applied => "applied",
            Self::Refused => "refused",
        })
    }
}

impl TlsMetrics {
    /// Adds them to a registry, as `kinetic_tls_*`; `file` is the certificate's file, or that of the trusted authorities for a client without
    /// a certificate.
    pub fn register(&self, registry: &mut Registry) {
        let tls = registry.sub_registry_with_prefix("kinetic_tls");
        let Self { reloads, not_after } = self.clone();
        tls.register("reloads", "Changes of certificate files, by what came of them", reloads);
        tls.register(
            "certificate_not_after_timestamp_seconds",
            "When the certificate in use ends, in seconds since 1970",
            not_after,
        );
    }

    pub(crate) fn reloaded(&self, file: &Path, result: Outcome) {
        self.reloads.get_or_create(&ReloadLabels { file: file.display().to_string(), result }).inc();
    }

    pub(crate) fn ends(&self, file: &Path, not_after: Timestamp) {
        self.not_after
            .get_or_create(&FileLabels { file: file.display().to_string() })
            .set(not_after.as_second());
    }
}
