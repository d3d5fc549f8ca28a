//! The bus from outside: what holds for every one, and what holds in process and on a broker.

#![allow(clippy::unwrap_used, reason = "all of it is tests; clippy knows only what is marked so")]

mod behaviour;
mod local;
mod own;
mod rabbitmq;
