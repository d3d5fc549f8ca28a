//! The front door as a process, before a RabbitMQ that speaks TLS alone to whom it trusts: what clients do through it unchanged, how long their
//! connections live, certificates that are rotated while messages flow, and what crashes and cuts cost: nothing.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod cut;
mod faults;
mod idle;
mod life;
mod own;
mod rotation;
mod server;
mod site;
mod steady;
mod unchanged;

/// Whether the clients of others are there; says it if not.
fn peers_are_there() -> bool {
    let missing = kinetic_tests::peers::missing();
    if !missing.is_empty() {
        kinetic_tests::skip(&format!("not installed: {}; run scripts/prerequisites", missing.join(", ")));
    }
    missing.is_empty()
}

/// A program in this folder for an interpreter, and its arguments.
fn program(mut interpreter: std::process::Command, name: &str, arguments: &[&str]) -> std::process::Command {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/door");
    interpreter.arg(folder.join(name)).args(arguments);
    interpreter
}
