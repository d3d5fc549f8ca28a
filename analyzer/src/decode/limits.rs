//! How much a line may hold: more than any client sends, and little enough that a hostile one costs nothing.

/// The longest line in bytes.
pub const MAX_LINE: usize = 8 * 1024;
/// The longest name in bytes.
pub const MAX_NAME: usize = 500;
/// The most tags of a line.
pub const MAX_TAGS: usize = 50;
