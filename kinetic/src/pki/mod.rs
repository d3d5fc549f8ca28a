//! `kinetic pki`: a certificate authority in a folder, for use without Kubernetes.

mod init;
mod inspect;
mod issue;
mod lifetime;
mod rotate;

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Subcommand};
use jiff::{Timestamp, tz::TimeZone};

/// An authority's folder, and what to do with it.
#[derive(Debug, Args)]
#[command(
    after_help = "Start here:\n  kinetic pki init                                         make the authority\n  \
    kinetic pki issue redirector --dns amqps.example.com     the front door's certificate\n  \
    kinetic pki issue client --customer acme --client web    acme's web machines share it\n  \
    kinetic pki inspect                                      what was issued, and when it ends\n\n\
    Whoever reads ca.key can be anybody: keep the folder to yourself, hand out what lies in issued/."
)]
pub(crate) struct PkiArgs {
    /// The authority's folder.
    #[arg(long, global = true, value_name = "DIR", default_value = "kinetic-pki", env = "KINETIC_PKI")]
    dir: PathBuf,
    #[command(subcommand)]
    command: PkiCommand,
}

#[derive(Debug, Subcommand)]
enum PkiCommand {
    /// Make a folder with a new authority.
    ///
    /// The folder (0700) gets the authority's certificate ca.crt, its key ca.key (0600), and trust.crt, which everybody is given. An authority that is
    /// there is never overwritten: `kinetic pki rotate` replaces one without cutting anybody off.
    Init(init::InitArgs),
    /// Issue a certificate: for a client, a machine, an analyzer, a person, or a part of Kinetic.
    ///
    /// The certificate, its key (0600) and trust.crt are put beside each other. Asking again for the same one replaces the files: whoever follows
    /// them uses the new ones for new connections at once, and drops none.
    Issue(issue::IssueArgs),
    /// Show what certificates say: who, from when, until when.
    ///
    /// Those in the files; or, without any, what the authority's folder trusts and what it issued.
    Inspect(inspect::InspectArgs),
    /// Replace the authority in three steps, so that nobody is cut off: each call takes the next one.
    ///
    /// First, a new authority is made, and added to trust.crt. Second, the new one issues, and both are trusted. Third, the former one leaves
    /// trust.crt: refused while somebody has a living certificate of it and none of the new one. Each call says what to do before the next.
    ///
    /// Which step is next is told from the files: whatever interrupts a call, the folder goes on to work, and calling again completes the step.
    Rotate(rotate::RotateArgs),
}

/// Runs one of the commands.
pub(crate) fn run(args: PkiArgs) -> anyhow::Result<ExitCode> {
    let now = Timestamp::now();
    let text = match args.command {
        PkiCommand::Init(init) => init::run(&args.dir, &init, now)?,
        PkiCommand::Issue(issue) => issue::run(&args.dir, issue, now)?,
        PkiCommand::Inspect(inspect) => inspect::run(&args.dir, &inspect, now)?,
        PkiCommand::Rotate(rotate) => rotate::run(&args.dir, &rotate, now)?,
    };
    match writeln!(io::stdout(), "{text}") {
        // `kinetic pki inspect | head` has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        written => written?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A time as people read it.
fn clock(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}
