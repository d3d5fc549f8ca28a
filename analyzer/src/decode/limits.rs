//! How much a line may hold: more than any client sends, and little enough that a hostile one costs nothing.

/// The longest line in bytes.
pub const MAX_LINE: usize = 8 * 1024;
/// The longest name in bytes.
pub const MAX_NAME: usize = 500;
/// The most tags of a line.
pub const MAX_TAGS: usize = 50;
/// The most values of a line, an object or a packet.
pub const MAX_FIELDS: usize = 1000;
/// The longest text of one metric in JSON or the line protocol, in bytes.
pub const MAX_OBJECT: usize = 1024 * 1024;
