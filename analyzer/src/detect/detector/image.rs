//! What the analytics know, saved and restored.

use kinetic_api::plan::TopologyPlan;
use serde::{Deserialize, Serialize};

use super::{Detector, HashMap};
use crate::{
    decode::MetricType,
    detect::subjects::Subjects,
    image::{self, ImageError},
    partition::Partition,
    window::Window,
};

#[derive(Serialize)]
struct Saved<'a> {
    subjects: &'a Subjects,
    window: Option<Window>,
    watches: Vec<Watched<'a>>,
}

/// Of an analytic: its name; what it, and what it makes of series, knows; how many series it looks at, and one that it cannot.
type Watched<'a> = (&'a str, Vec<u8>, Option<Vec<u8>>, usize, Option<MetricType>);

/// The same, as it is read.
type WatchedBefore = (String, Vec<u8>, Option<Vec<u8>>, usize, Option<MetricType>);

#[derive(Deserialize)]
struct Restored {
    subjects: Subjects,
    window: Option<Window>,
    watches: Vec<WatchedBefore>,
}

impl Detector {
    /// What it knows, for [`Self::restore`].
    #[must_use]
    pub fn image(&self) -> Vec<u8> {
        let watches = self.watches.iter().map(|watch| {
            let derived = watch.derived.as_ref().map(|derived| derived.image());
            (&*watch.plan.name, watch.analysis.image(), derived, watch.bound, watch.unfit)
        });
        let watches = watches.collect();
        image::encode(&Saved { subjects: &self.subjects, window: self.window, watches })
    }

    /// The detector that an image was made of, for the same analytics.
    ///
    /// # Errors
    /// It is none of this version's, or of other analytics.
    pub fn restore(
        plan: &TopologyPlan,
        source: usize,
        active_since: &HashMap<String, i64>,
        partition: Partition,
        image: &[u8],
    ) -> Result<Self, ImageError> {
        let Restored { subjects, window, watches } = image::decode(image)?;
        let mut detector =
            Self { subjects, window, ..Self::new(plan, source, active_since).owning(partition) };
        let known = detector.watches.iter().map(|watch| &watch.plan.name);
        if !known.eq(watches.iter().map(|(name, ..)| name)) {
            return Err(ImageError("it is of other analytics".into()));
        }
        for (watch, (_, analysis, derived, bound, unfit)) in detector.watches.iter_mut().zip(watches) {
            watch.analysis.restore(&analysis)?;
            if let (Some(makes), Some(image)) = (&mut watch.derived, derived) {
                makes.restore(&image)?;
            }
            (watch.bound, watch.unfit) = (bound, unfit);
        }
        Ok(detector)
    }
}
