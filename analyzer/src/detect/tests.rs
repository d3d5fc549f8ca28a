//! The detector as a whole.

mod binding;
mod change;
mod golden;
mod noise;
mod ratio;
mod transitions;
