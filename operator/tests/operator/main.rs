//! The operator against an API server in memory and a real RabbitMQ; and against a real API server, where there is one.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod api;
mod broker_tls;
mod chart;
mod cluster;
mod customer;
mod enrollment;
mod errors;
mod faults;
mod foreign;
mod invalid;
mod issuer;
mod orders;
mod pods;
mod process;
mod rotation;
mod rotation_cluster;
mod scale;
mod site;
mod topology;
mod uninstall;
mod whole;
mod world;
