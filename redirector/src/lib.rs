//! The front door: takes metrics in and puts them on the bus.
//!
//! [`intake`] is the statsd intake on UDP, TCP and standard input that `kinetic run` opens beside the AMQP way in.

pub mod amqp;
pub mod door;
pub mod enroll;
pub mod intake;
pub mod pace;
