//! Which files are meant by a PATH, and what they hold.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::problem::{Place, Position, Problem};

/// The largest file that is read.
pub(crate) const MAX_FILE_BYTES: u64 = 4 << 20;
/// So many files are read together.
const MAX_FILES: usize = 10_000;
/// So deep are folders looked through.
const MAX_FOLDER_DEPTH: usize = 32;

/// The files that are meant: what is named, and in folders `*.yaml` and `*.yml`, sorted; names that begin with a dot are left out, and what is
/// met twice counts once. A `ConfigMap`'s mount is read through its links, whose targets lie in `..data`.
pub(crate) fn find(paths: &[PathBuf]) -> (Vec<PathBuf>, Vec<Problem>) {
    let mut search = Search::default();
    for path in paths {
        match fs::metadata(path) {
            Ok(meta) if meta.is_dir() => search.folder(path, 0),
            Ok(meta) if meta.is_file() => search.file(path),
            Ok(_) => search.problem(
                path,
                "this is neither a file nor a folder",
                "name a YAML file, or a folder of them",
            ),
            Err(error) => search.unreadable(path, &error),
        }
    }
    if search.files.len() > MAX_FILES {
        search.files.clear();
        if let Some(path) = paths.first() {
            let message = format!("there are more than {MAX_FILES} files");
            search.problem(path, &message, "name the folder that holds the resources");
        }
    }
    (search.files, search.problems)
}

#[derive(Default)]
struct Search {
    files: Vec<PathBuf>,
    problems: Vec<Problem>,
    /// Files and folders by their true names: a link into its own parent would never end.
    seen: HashSet<PathBuf>,
}

impl Search {
    fn folder(&mut self, folder: &Path, depth: usize) {
        if self.files.len() > MAX_FILES || !self.first_time(folder) {
            return;
        }
        if depth > MAX_FOLDER_DEPTH {
            self.problem(folder, "folders are nested too deeply", "keep resources in few levels");
            return;
        }
        let mut entries = match fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
            Ok(entries) => entries,
            Err(error) => return self.unreadable(folder, &error),
        };
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let path = entry.path();
            let yaml = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
            match fs::metadata(&path) {
                Ok(meta) if meta.is_dir() => self.folder(&path, depth + 1),
                Ok(meta) if meta.is_file() && yaml => self.file(&path),
                Err(error) if yaml => self.unreadable(&path, &error),
                _ => {}
            }
        }
    }

    fn file(&mut self, path: &Path) {
        if self.files.len() <= MAX_FILES && self.first_time(path) {
            self.files.push(path.to_owned());
        }
    }

    fn first_time(&mut self, path: &Path) -> bool {
        fs::canonicalize(path).is_ok_and(|path| self.seen.insert(path))
    }

    fn problem(&mut self, path: &Path, message: &str, fix: &str) {
        self.problems.push(problem(path, None, message, fix));
    }

    fn unreadable(&mut self, path: &Path, error: &io::Error) {
        self.problems.push(unreadable(path, error));
    }
}

/// The text of a file.
pub(crate) fn read(path: &Path) -> Result<String, Box<Problem>> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| Box::new(unreadable(path, &error)))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let message = format!("the file is larger than {} MiB", MAX_FILE_BYTES >> 20);
        return Err(Box::new(problem(path, None, &message, "split it")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let mut lines = valid.split(|byte| *byte == b'\n');
        let last = lines.next_back().unwrap_or_default();
        let position =
            Position { line: 1 + lines.count(), column: 1 + String::from_utf8_lossy(last).chars().count() };
        Box::new(problem(path, Some(position), "this is no UTF-8 text", "save the file as UTF-8"))
    })
}

fn unreadable(path: &Path, error: &io::Error) -> Problem {
    match error.kind() {
        io::ErrorKind::NotFound => problem(path, None, "there is no such file or folder", "check the path"),
        io::ErrorKind::PermissionDenied => {
            problem(path, None, "Kinetic may not read this", "give its user the right to read it")
        }
        _ => problem(path, None, &format!("this cannot be read ({error})"), "check the file and its disk"),
    }
}

fn problem(path: &Path, position: Option<Position>, message: &str, fix: &str) -> Problem {
    Problem {
        place: Place { file: Arc::new(path.to_owned()), position },
        resource: None,
        field: String::new(),
        message: message.into(),
        fix: fix.into(),
    }
}
