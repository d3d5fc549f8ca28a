//! `kinetic pki issue`.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use kinetic_api::resources::Name;
use kinetic_pki::{
    Folder, Issued, Leaf, MachineName, PrivateKey, Request, Subject, folder::HandedOut, material::Pem,
    request,
};
use rustls::pki_types::DnsName;
use serde_json::json;

use super::{clock, lifetime::Lifetime};

/// What is issued, and where it is put.
#[derive(Debug, Args)]
#[command(
    subcommand_value_name = "KIND",
    subcommand_help_heading = "Kinds",
    after_help = "Examples:\n  kinetic pki issue redirector --dns amqps.example.com --ip 192.0.2.7\n  \
    kinetic pki issue client --customer acme --client web --lifetime 90d\n  \
    kinetic pki issue client --customer acme --client web --machine web-1.acme.example --csr web-1.csr --out hand-over"
)]
pub(super) struct IssueArgs {
    #[command(subcommand)]
    kind: Kind,
    /// From now to the certificate's end; the authority's end at the latest.
    #[arg(long, global = true, value_name = "D", default_value = "720h")]
    lifetime: Lifetime,
    /// Where the files are put; `issued` in the authority's folder unless given.
    #[arg(long, global = true, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Sign this request (PKCS#10 in PEM, a key on P-256) instead of making a key: then the key stays where it was made. Nothing but the key is
    /// taken from it.
    #[arg(long, global = true, value_name = "FILE")]
    csr: Option<PathBuf>,
    /// One JSON object for programs.
    #[arg(long, global = true)]
    json: bool,
}

/// Whom a certificate is for.
#[derive(Debug, Subcommand)]
enum Kind {
    /// A class of machines that send, which share it; with --machine, one of them.
    Client {
        /// The Customer.
        #[arg(long, value_name = "NAME")]
        customer: Name,
        /// The class, as the Customer's `clients` names it.
        #[arg(long, value_name = "NAME")]
        client: Name,
        /// One machine of the class: its DNS name.
        #[arg(long, value_name = "NAME")]
        machine: Option<MachineName>,
    },
    /// A Topology's analyzer.
    Analyzer {
        /// The Customer.
        #[arg(long, value_name = "NAME")]
        customer: Name,
        /// The Topology.
        #[arg(long, value_name = "NAME")]
        topology: Name,
        /// Its share, from 0 to the Topology's `partitions` less one.
        #[arg(long, value_name = "N", default_value_t = 0)]
        partition: u8,
    },
    /// The front door: the one kind that servers show, so it says by which names it is reached.
    #[command(group(clap::ArgGroup::new("reached").required(true).multiple(true).args(["dns", "ip"])))]
    Redirector {
        /// DNS names that clients connect to.
        #[arg(long, value_name = "NAME", num_args = 1.., value_parser = dns_name)]
        dns: Vec<DnsName<'static>>,
        /// Addresses that clients connect to.
        #[arg(long, value_name = "ADDR", num_args = 1..)]
        ip: Vec<IpAddr>,
    },
    /// The alert service.
    Alert,
    /// A person or program that steers a customer's analyzers (`kinetic arc`).
    Control {
        /// The Customer.
        #[arg(long, value_name = "NAME")]
        customer: Name,
        /// The person or program.
        #[arg(long, value_name = "NAME")]
        name: Name,
    },
    /// The operator.
    Operator,
    /// The web console.
    Console,
}

fn dns_name(text: &str) -> Result<DnsName<'static>, String> {
    DnsName::try_from(text.to_ascii_lowercase())
        .map_err(|_| "no DNS name: write one such as amqps.example.com, without a wildcard".to_owned())
}

impl Kind {
    fn leaf(self, lifetime: Lifetime) -> Leaf {
        let leaf = |subject| Leaf::new(subject, lifetime.0);
        match self {
            Self::Client { customer, client, machine: None } => leaf(Subject::Client { customer, client }),
            Self::Client { customer, client, machine: Some(machine) } => {
                leaf(Subject::Machine { customer, client, machine })
            }
            Self::Analyzer { customer, topology, partition } => {
                leaf(Subject::Analyzer { customer, topology, partition })
            }
            Self::Redirector { dns, ip } => Leaf { dns, addresses: ip, ..leaf(Subject::Redirector) },
            Self::Alert => leaf(Subject::Alert),
            Self::Control { customer, name } => leaf(Subject::Control { customer, name }),
            Self::Operator => leaf(Subject::Operator),
            Self::Console => leaf(Subject::Console),
        }
    }
}

pub(super) fn run(dir: &Path, args: IssueArgs, now: Timestamp) -> anyhow::Result<String> {
    let folder = Folder::open(dir)?;
    let out = args.out.unwrap_or_else(|| folder.issued());
    let leaf = args.kind.leaf(args.lifetime);
    let (issued, files) = if let Some(file) = args.csr {
        let request = read_request(&file)?;
        folder.check_out(&out, &leaf.subject, request.public_key())?;
        let issued = folder.issue(&leaf, request.public_key(), now)?;
        let files = folder.hand_out(&out, &issued, None)?;
        (issued, files)
    } else {
        let key = PrivateKey::generate()?;
        let issued = folder.issue(&leaf, key.public(), now)?;
        let files = folder.hand_out(&out, &issued, Some(&key))?;
        (issued, files)
    };
    if args.json {
        return Ok(serde_json::to_string_pretty(&json!({
            "identity": issued.identity.to_string(),
            "serial": issued.serial.as_str(),
            "notBefore": issued.not_before,
            "notAfter": issued.not_after,
            "certificate": files.certificate,
            "key": files.key,
            "trust": files.trust,
        }))?);
    }
    let wanted = now.checked_add(args.lifetime.0).unwrap_or(Timestamp::MAX);
    Ok(report(&issued, &files, issued.not_after.as_second() < wanted.as_second()))
}

fn read_request(file: &Path) -> anyhow::Result<Request> {
    let text = String::from_utf8_lossy(&Pem::read(file)?.bytes).into_owned();
    request::read(&text).with_context(|| file.display().to_string())
}

fn report(issued: &Issued, files: &HandedOut, cut_short: bool) -> String {
    let mut lines = vec![
        issued.identity.to_string(),
        format!("  serial       {}", issued.serial),
        format!("  valid        {} – {}", clock(issued.not_before), clock(issued.not_after)),
        format!("  certificate  {}", files.certificate.display()),
    ];
    lines.extend(files.key.iter().map(|key| format!("  key          {}", key.display())));
    lines.push(format!("  trust        {}", files.trust.display()));
    if cut_short {
        lines.push(
            "It ends with the authority, sooner than asked for: `kinetic pki rotate` brings a new one."
                .into(),
        );
    }
    lines.join("\n")
}
