//! Whether files may have changed, from what the file system says of them: for where no events come (NFS, lost watches).

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use crate::{files, problem::Problem};

/// What the file system says of the files that are meant.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fingerprint {
    files: Vec<(PathBuf, Option<Stat>)>,
    problems: Vec<Problem>,
}

/// A file's identity, size and times. The time of the last change of its inode catches what restores the time of modification.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Fingerprint {
    pub(super) fn take(paths: &[PathBuf]) -> Self {
        let (found, problems) = files::find(paths);
        let files = found.into_iter().map(|path| {
            let stat = stat(&path);
            (path, stat)
        });
        Self { files: files.collect(), problems }
    }
}

fn stat(path: &Path) -> Option<Stat> {
    let meta = fs::metadata(path).ok()?;
    Some(Stat {
        device: meta.dev(),
        inode: meta.ino(),
        size: meta.len(),
        modified: (meta.mtime(), meta.mtime_nsec()),
        changed: (meta.ctime(), meta.ctime_nsec()),
    })
}
