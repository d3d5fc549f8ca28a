//! The data plane: decodes metrics, closes windows, runs analytics, emits anomalies.

pub mod decode;
pub mod detect;
pub mod engine;
pub mod service;
pub mod window;
