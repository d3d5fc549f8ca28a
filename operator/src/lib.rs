//! The operator: Customers, Topologies and Alerts in; vhosts, certificates and pods out.
//!
//! [`reconcile`] holds a straight line for each resource: fetch what is referred to, validate, build, apply, status. What it builds ([`build`]) and what it
//! wants of a broker ([`broker`]) are plain data made by pure functions; the shell round them is [`apply`](mod@apply), [`broker::client`], [`vault`] and [`lease`].

pub mod apply;
pub mod ask;
pub mod authority;
pub mod broker;
pub mod build;
pub mod certify;
pub mod client;
pub mod condition;
pub mod config;
pub mod context;
pub mod enrollment;
mod http;
pub mod known;
pub mod leaf;
pub mod lease;
pub mod metrics;
pub mod presence;
pub mod reconcile;
pub mod resources;
pub mod run;
pub mod secrets;
pub mod uninstall;
pub mod vault;
pub mod watch;
