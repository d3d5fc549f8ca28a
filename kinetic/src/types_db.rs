//! `--types-db`: collectd's types beyond those that it comes with.

use std::{fs, path::PathBuf, sync::Arc};

use anyhow::Context;
use clap::Args;
use kinetic_analyzer::decode::collectd::types_db::TypesDb;

/// Where types of one's own are described.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct TypesDbArgs {
    /// A types.db of your collectd clients, for types that collectd does not come with; repeat it for several, of which the last one that
    /// describes a type counts.
    #[arg(
        id = "types_db",
        long = "types-db",
        value_name = "FILE",
        env = "KINETIC_TYPES_DB",
        value_delimiter = ','
    )]
    pub(crate) files: Vec<PathBuf>,
}

/// The types that collectd comes with, and those of the files.
pub(crate) fn read(files: &[PathBuf]) -> anyhow::Result<Arc<TypesDb>> {
    let mut types = TypesDb::standard();
    for file in files {
        let text = fs::read(file).with_context(|| format!("--types-db {}", file.display()))?;
        Arc::make_mut(&mut types)
            .add(&String::from_utf8_lossy(&text))
            .with_context(|| format!("--types-db {}", file.display()))?;
    }
    Ok(types)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_add_types_and_errors_say_where() {
        let folder = tempfile::tempdir().unwrap();
        let (good, bad) = (folder.path().join("good.db"), folder.path().join("bad.db"));
        fs::write(&good, "queue ready:GAUGE:0:U sent:DERIVE:0:U\n").unwrap();
        fs::write(&bad, "\nqueue ready:METER:0:U\n").unwrap();
        let types = read(std::slice::from_ref(&good)).unwrap();
        assert_eq!((types.sources("queue").len(), types.sources("if_octets").len()), (2, 2));
        for (file, told) in
            [(bad, "line 2: `ready:METER:0:U`"), (folder.path().join("none.db"), "No such file")]
        {
            let error = format!("{:#}", read(&[good.clone(), file.clone()]).unwrap_err());
            assert!(error.contains(told) && error.contains(file.to_str().unwrap()), "{error}");
        }
    }
}
