//! Each role alone, over AMQP only: `kinetic analyzer`, `kinetic alert`.
//!
//! Configuration comes from one YAML file, `KINETIC_…` variables and flags, in that order of rising precedence.

pub(crate) mod alert;
pub(crate) mod analyzer;
mod config;
mod serve;
