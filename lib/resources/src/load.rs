//! From paths to a snapshot, with every problem on the way.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    document, files,
    problem::{Place, Problem},
    references,
    snapshot::Snapshot,
    yaml::{Budget, parse},
};

/// So many problems are told at once.
const MAX_PROBLEMS: usize = 500;

/// Reads files, and folders with all `*.yaml` and `*.yml` in them (names that begin with a dot left out), and checks everything that they hold:
/// YAML, schemas, CEL rules, plans, and what one resource says of another.
///
/// # Errors
/// Everything that is wrong, sorted by file, line and column. Nothing at all is wrong too: most likely the path is.
pub fn load(paths: &[PathBuf]) -> Result<Snapshot, Vec<Problem>> {
    let snapshot = load_after(paths, &Snapshot::default())?;
    match paths.first() {
        Some(path) if snapshot.is_empty() => Err(vec![nothing_there(path)]),
        _ => Ok(snapshot),
    }
}

/// [`load`], where what is immutable must also be as it was before, and nothing at all is fine.
pub(crate) fn load_after(paths: &[PathBuf], before: &Snapshot) -> Result<Snapshot, Vec<Problem>> {
    load_with(paths, before, &Overlay::new())
}

/// Files as they might be: another text, or none at all.
pub(crate) type Overlay = BTreeMap<PathBuf, Option<String>>;

/// [`load_after()`], with some files as they might be.
pub(crate) fn load_with(
    paths: &[PathBuf],
    before: &Snapshot,
    overlay: &Overlay,
) -> Result<Snapshot, Vec<Problem>> {
    let (mut files, mut problems) = files::find(paths);
    files.retain(|path| !overlay.contains_key(path));
    files.extend(overlay.iter().filter(|(_, text)| text.is_some()).map(|(path, _)| path.clone()));
    let mut documents = Vec::new();
    let mut budget = Budget::default();
    for path in files {
        let text = match overlay.get(&path) {
            Some(text) => Ok(text.clone().unwrap_or_default()),
            None => files::read(&path),
        };
        match text {
            Ok(text) => {
                let file = Arc::new(path);
                let (nodes, faults) = parse(&text, &mut budget);
                problems.extend(faults.into_iter().map(|fault| fault.at(&file, None)));
                for node in nodes {
                    document::read(node, &file, before, &mut documents, &mut problems);
                }
            }
            Err(problem) => problems.push(*problem),
        }
    }
    problems.extend(references::check(&documents));
    if problems.is_empty() {
        return Ok(Snapshot::of(documents));
    }
    problems.sort_by(|a, b| (&a.place, &a.field).cmp(&(&b.place, &b.field)));
    cut(&mut problems);
    Err(problems)
}

fn nothing_there(path: &Path) -> Problem {
    Problem {
        place: Place { file: Arc::new(path.to_owned()), position: None },
        resource: None,
        field: String::new(),
        message: "there are no resources here".into(),
        fix: "put Customers, Topologies and Alerts into *.yaml files; examples/ has some".into(),
    }
}

fn cut(problems: &mut Vec<Problem>) {
    if problems.len() > MAX_PROBLEMS {
        let further = problems.len() - MAX_PROBLEMS;
        problems.truncate(MAX_PROBLEMS);
        if let Some(last) = problems.last().cloned() {
            problems.push(Problem {
                resource: None,
                field: String::new(),
                message: format!("{further} further problems are not listed"),
                fix: "begin with those above".into(),
                ..last
            });
        }
    }
}
