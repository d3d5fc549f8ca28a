//! The data plane: decodes metrics, closes windows, runs analytics, emits anomalies.

pub mod backtest;
mod checkpoint;
pub mod control;
pub mod decode;
pub mod detect;
pub mod engine;
#[cfg(test)]
mod golden;
mod image;
pub mod partition;
pub mod service;
#[cfg(test)]
mod test_plan;
mod twofold;
pub mod window;
