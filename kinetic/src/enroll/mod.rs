//! Enrolment from the command line: tokens ([`token`]), machines ([`machine`]), people ([`decide`]).

pub(crate) mod client;
mod cluster;
pub(crate) mod decide;
mod files;
pub(crate) mod machine;
pub(crate) mod token;
mod tokens;
