//! What our tests start: the real broker and its like, on free loopback ports, in folders of their own.
//!
//! A failure to start is a test's failure: everything here panics with what to do.

pub mod collectd;
pub mod feeds;
pub mod helm;
pub mod http;
pub mod kubernetes;
pub mod load;
pub mod peers;
pub mod process;
pub mod rabbitmq;
pub mod smtp;
