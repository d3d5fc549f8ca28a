//! Real handshakes between configurations that are read from files.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod files;
mod handshake;
mod refusals;
mod rotation;
