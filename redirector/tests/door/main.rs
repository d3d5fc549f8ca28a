//! The front door before a real RabbitMQ.

#![allow(clippy::unwrap_used, reason = "all of it is tests; clippy knows only what is marked so")]

mod life;
mod malformed;
mod matrix;
mod passes;
mod refusals;
mod rig;
