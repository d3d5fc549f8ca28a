//! What the analytics know, saved and restored.

use kinetic_api::plan::TopologyPlan;
use serde::{Deserialize, Serialize};

use super::{Detector, HashMap};
use crate::{
    decode::MetricType,
    detect::subjects::Subjects,
    image::{ImageError, Reader, Writer},
    partition::Partition,
    window::Window,
};

#[derive(Serialize)]
struct Saved<'a> {
    subjects: &'a Subjects,
    window: Option<Window>,
    watches: Vec<Watched<&'a str>>,
}

/// Of an analytic: its name, how many series it looks at, and one that it cannot. What it knows follows after all of these, and what
/// is known of the series that it makes, if it makes any.
type Watched<Name> = (Name, usize, Option<MetricType>);

#[derive(Deserialize)]
struct Restored {
    subjects: Subjects,
    window: Option<Window>,
    watches: Vec<Watched<String>>,
}

impl Detector {
    /// Writes what it knows, for [`Self::restore`].
    pub(crate) fn save(&self, image: &mut Writer<'_>) {
        let watches =
            self.watches.iter().map(|watch| (&*watch.plan.name, watch.bound, watch.unfit)).collect();
        image.put(&Saved { subjects: &self.subjects, window: self.window, watches });
        for watch in &self.watches {
            watch.analysis.save(image);
            watch.derived.iter().for_each(|derived| derived.save(image));
        }
    }

    /// The detector that an image was made of, for the same analytics.
    ///
    /// # Errors
    /// It is none of this version's, or of other analytics.
    pub(crate) fn restore(
        plan: &TopologyPlan,
        source: usize,
        active_since: &HashMap<String, i64>,
        partition: Partition,
        image: &mut Reader<'_>,
    ) -> Result<Self, ImageError> {
        let Restored { subjects, window, watches } = image.get()?;
        let mut detector =
            Self { subjects, window, ..Self::new(plan, source, active_since).owning(partition) };
        let known = detector.watches.iter().map(|watch| &watch.plan.name);
        if !known.eq(watches.iter().map(|(name, ..)| name)) {
            return Err(ImageError("it is of other analytics".into()));
        }
        for (watch, (_, bound, unfit)) in detector.watches.iter_mut().zip(watches) {
            watch.analysis.restore(image)?;
            if let Some(derived) = &mut watch.derived {
                derived.restore(image)?;
            }
            (watch.bound, watch.unfit) = (bound, unfit);
        }
        Ok(detector)
    }
}
