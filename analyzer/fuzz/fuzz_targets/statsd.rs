//! Whatever bytes come as a statsd body: no panic, what is made of them is sound, and every sample is accounted for.

#![no_main]

use kinetic_analyzer::window::MessageContext;
use kinetic_analyzer_fuzz::ticked;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let (mut windows, mut look) = ticked();
    windows.add_statsd(body, MessageContext { origin: Some("web-1") }, None, &mut look);
    windows.finish(&mut look);
    let counters = windows.counters();
    let lost = counters.late + counters.future + counters.untimed + counters.dropped_series;
    // Sampling rates only ever make it more.
    assert!(look.samples >= (counters.samples - lost) as f64);
});
