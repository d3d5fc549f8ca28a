//! The front door before a real RabbitMQ.

mod passes;
mod rig;
