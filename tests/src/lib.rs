//! What our tests start: the real broker and its like, on free loopback ports, in folders of their own.
//!
//! A failure to start is a test's failure: everything here panics with what to do.

use std::{env, fs, io::Write, thread};

pub mod collectd;
pub mod feeds;
pub mod helm;
pub mod http;
pub mod invalid;
pub mod kubernetes;
pub mod load;
pub mod peers;
pub mod process;
pub mod rabbitmq;
pub mod smtp;

/// Says why a test, or a part of one, is left out: to whoever reads its output, and in the file `KINETIC_SKIPPED`, by which `scripts/test` counts them.
///
/// # Panics
/// If that file cannot be written to.
pub fn skip(reason: &str) {
    eprintln!("skipped: {reason}");
    let Some(path) = env::var_os("KINETIC_SKIPPED") else { return };
    let test = thread::current().name().unwrap_or_default().to_owned();
    let mut file =
        fs::File::options().create(true).append(true).open(path).expect("KINETIC_SKIPPED is writable");
    // In one piece: other tests write there too.
    file.write_all(format!("{test}: {reason}\n").as_bytes()).expect("KINETIC_SKIPPED is writable");
}
