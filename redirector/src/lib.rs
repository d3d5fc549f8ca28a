//! The front door: takes metrics in and puts them on the bus.
//!
//! [`intake`] is the statsd intake on UDP, TCP and standard input that `kinetic run` opens beside the AMQP way in. [`sidecar`] is the front
//! door's other end.

mod accept;
pub mod amqp;
pub mod door;
pub mod enroll;
pub mod https;
pub mod intake;
#[cfg(test)]
mod local_stream;
pub mod pace;
mod seats;
pub mod sidecar;
