//! How addresses are spelled, as far as a schema can tell.

/// The pattern of a mail address: `user@host`.
pub const PATTERN: &str = r"^[^@\r\n]+@[^@\s]+$";
/// The pattern of an address on the web.
pub const URL: &str = r"^https?://[^\s/]\S*$";
