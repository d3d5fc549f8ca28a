//! `kinetic pki rotate`.

use std::path::Path;

use clap::Args;
use jiff::Timestamp;
use kinetic_pki::{Folder, folder::Rotation, rotation::Step};
use serde_json::json;

use super::lifetime::Lifetime;

/// What the new authority is, and how careful the last step.
#[derive(Debug, Args)]
pub(super) struct RotateArgs {
    /// How long the new authority lives.
    #[arg(long, value_name = "D", default_value = "10y")]
    lifetime: Lifetime,
    /// Take the third step also if it cuts somebody off.
    #[arg(long)]
    force: bool,
    /// One JSON object for programs.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(dir: &Path, args: &RotateArgs, now: Timestamp) -> anyhow::Result<String> {
    let rotation = Folder::open(dir)?.rotate(args.lifetime.0, args.force, now)?;
    if args.json {
        let step = match rotation.step {
            Step::Trusted => 1,
            Step::Used => 2,
            Step::Removed => 3,
        };
        let trusted: Vec<String> = rotation.trusted.iter().map(ToString::to_string).collect();
        let issuing = rotation.issuing.to_string();
        return Ok(serde_json::to_string_pretty(
            &json!({ "step": step, "issuing": issuing, "trusted": trusted }),
        )?);
    }
    Ok(report(dir, &rotation))
}

fn report(dir: &Path, rotation: &Rotation) -> String {
    let dir = dir.display();
    let (done, next) = match rotation.step {
        Step::Trusted => (
            "Step 1 of 3: there is a new authority; it is trusted and not used yet.".to_owned(),
            format!(
                "Before the next call: give {dir}/trust.crt to every server and client. Whoever has the former one \
                 would refuse what the new authority issues."
            ),
        ),
        Step::Used => (
            "Step 2 of 3: the new authority issues from now on; the former one is still trusted.".to_owned(),
            "Before the next call: issue every certificate anew (`kinetic pki issue`), and hand it out. Whoever keeps the \
             former one would be refused."
                .to_owned(),
        ),
        Step::Removed => (
            "Step 3 of 3: the former authority is trusted no longer. The rotation is complete.".to_owned(),
            format!("Now give {dir}/trust.crt to every server and client once more."),
        ),
    };
    let trusted = rotation.trusted.iter().map(|authority| {
        let issues = if *authority == rotation.issuing { "  (issues)" } else { "" };
        format!("  {authority}{issues}")
    });
    let lines: Vec<String> = [done, "Trusted:".to_owned()].into_iter().chain(trusted).chain([next]).collect();
    lines.join("\n")
}
