//! `kinetic pki init`.

use std::path::Path;

use clap::Args;
use jiff::Timestamp;
use kinetic_pki::{Folder, TrustDomain};

use super::{clock, lifetime::Lifetime};

/// What the new authority is.
#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// The first part of every identity, such as `spiffe://kinetic.local/redirector`.
    #[arg(long, value_name = "NAME", default_value = "kinetic.local")]
    trust_domain: TrustDomain,
    /// How long the authority lives; nothing that it issues outlives it.
    #[arg(long, value_name = "D", default_value = "10y")]
    lifetime: Lifetime,
}

pub(super) fn run(dir: &Path, args: &InitArgs, now: Timestamp) -> anyhow::Result<String> {
    let authority = Folder::init(dir, &args.trust_domain, args.lifetime.0, now)?.authority()?;
    let (dir, domain) = (dir.display(), authority.trust_domain());
    let (end, fingerprint) = (clock(authority.not_after()), authority.fingerprint());
    Ok(format!(
        "An authority for spiffe://{domain}, until {end}:\n  \
         {dir}/ca.crt     its certificate, {fingerprint}\n  \
         {dir}/ca.key     its key: whoever reads it can be anybody\n  \
         {dir}/trust.crt  the authorities to trust: every server and client is given it"
    ))
}
