//! The detector as a whole.

mod binding;
mod noise;
mod transitions;
