//! The operator: Customers, Topologies and Alerts in, vhosts, certificates and pods out.
//!
//! Each reconciler is a straight line: fetch what is referred to, *validate* it into one plain struct, *build* (pure), *apply*, *status*.

pub mod broker;
