//! The font comes with us: nothing need be installed.

use std::sync::Once;

use plotters::style::{FontStyle, register_font};

/// The family's name.
pub(crate) const FAMILY: &str = "sans-serif";

/// Makes the font known, once.
pub(crate) fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for (style, bytes) in
            [(FontStyle::Normal, dejavu::sans::regular()), (FontStyle::Bold, dejavu::sans::bold())]
        {
            if register_font(FAMILY, style, bytes).is_err() {
                tracing::warn!("the chart's font cannot be read: charts are left out");
            }
        }
    });
}
