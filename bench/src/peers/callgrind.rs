//! Programs under valgrind's callgrind, which says which of their functions ran.

use std::{collections::BTreeSet, fs, process::Command};

use anyhow::Context;
use tempfile::TempDir;

use super::Kinetic;

/// A folder for what it writes when a program ends.
#[derive(Debug)]
pub struct Callgrind(TempDir);

impl Callgrind {
    /// One that has seen nothing yet.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self(TempDir::new().context("a folder under the temporary one")?))
    }

    /// `kinetic` under it.
    pub fn kinetic(&self) -> anyhow::Result<Command> {
        let mut command = Command::new("valgrind");
        command.args(["--tool=callgrind", "--demangle=no"]);
        command.arg(format!("--callgrind-out-file={}/%p", self.0.path().display()));
        command.arg(Kinetic::program()?);
        Ok(command)
    }

    /// The symbols of all functions that ran in programs that have ended.
    pub fn functions(&self) -> anyhow::Result<BTreeSet<String>> {
        let mut functions = BTreeSet::new();
        for file in fs::read_dir(self.0.path())? {
            functions.extend(symbols(&fs::read_to_string(file?.path())?).map(str::to_owned));
        }
        Ok(functions)
    }
}

/// What callgrind's format names as functions (<https://valgrind.org/docs/manual/cl-format.html>): `fn=(id) name`, `cfn=(id) name`; later
/// only the id. What has no symbol is an address, what recurs ends in `'2`.
fn symbols(profile: &str) -> impl Iterator<Item = &str> {
    let named = profile.lines().filter_map(|line| line.strip_prefix("fn=(").or(line.strip_prefix("cfn=(")));
    named
        .filter_map(|line| line.split_once(") "))
        .map(|(_, name)| name.split('\'').next().unwrap_or(name))
        .filter(|name| !name.starts_with("0x") && !name.starts_with('('))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_named_once_and_meant_by_their_number_then() {
        let profile = "events: Ir\nfn=(1) main\n0 3\ncfn=(2) _ZN4core3fmt17h00E'2\ncalls=1 0\nfn=(2)\n0 4\nfn=(3) 0x0000000000001050\n\
                       fn=(4) (below main)\n";
        assert_eq!(symbols(profile).collect::<Vec<_>>(), ["main", "_ZN4core3fmt17h00E"]);
    }
}
