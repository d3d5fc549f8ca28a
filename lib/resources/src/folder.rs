//! Applying to a folder, and deleting from it: what is there and what comes are checked together before a file is touched.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::Value as Json;

use crate::{
    document, edit, files,
    load::{Overlay, load_with},
    problem::{DEFAULT_NAMESPACE, Place, Problem, ResourceId},
    snapshot::Snapshot,
    written::Written,
    yaml::{Budget, parse},
};

/// What became of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is new.
    Created,
    /// It says something else now.
    Configured,
    /// It was as it should be.
    Unchanged,
}

impl Outcome {
    /// As people are told.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Unchanged => "unchanged",
        }
    }
}

/// Applies to a folder (or to one file): in the place of the document of that name, or as a file of its own. A file is replaced at once, never half.
///
/// # Errors
/// Everything that would be wrong with the folder then; nothing was written.
pub fn apply(home: &Path, resources: &[Written], dry_run: bool) -> Result<Vec<Outcome>, Vec<Problem>> {
    let mut edits = Edits::of(home);
    let mut outcomes = Vec::new();
    for written in resources {
        outcomes.push(edits.apply(home, written).map_err(|problem| vec![*problem])?);
    }
    edits.write(home, dry_run)?;
    Ok(outcomes)
}

/// Deletes from a folder (or from one file). False where there was none.
///
/// # Errors
/// As [`apply()`]: what is left must not refer to what is gone.
pub fn delete(home: &Path, resources: &[ResourceId], dry_run: bool) -> Result<Vec<bool>, Vec<Problem>> {
    let mut edits = Edits::of(home);
    let mut deleted = Vec::new();
    for id in resources {
        deleted.push(edits.delete(id).map_err(|problem| vec![*problem])?);
    }
    edits.write(home, dry_run)?;
    Ok(deleted)
}

/// The files' texts, as they are and as they shall be.
struct Edits {
    texts: BTreeMap<PathBuf, String>,
    changed: Overlay,
}

/// Where a resource stands.
struct Found {
    file: PathBuf,
    line: usize,
    json: Json,
    /// As an item of a `kind: List`.
    listed: bool,
}

impl Edits {
    fn of(home: &Path) -> Self {
        // What cannot be read is told of when everything is checked.
        let (files, _) = files::find(&[home.to_owned()]);
        let read = |path: PathBuf| files::read(&path).ok().map(|text| (path, text));
        Self { texts: files.into_iter().filter_map(read).collect(), changed: Overlay::new() }
    }

    fn find(&self, wanted: &ResourceId) -> Option<Found> {
        for (path, text) in &self.texts {
            let file = Arc::new(path.clone());
            for node in parse(text, &mut Budget::default()).0 {
                let (line, listed) = (node.position.line, node.text("kind") == Some("List"));
                let mut documents = Vec::new();
                document::read(node, &file, &Snapshot::default(), &mut documents, &mut Vec::new());
                let same = documents.into_iter().find(|document| document.id == *wanted);
                if let Some(node) = same.and_then(|document| document.node) {
                    return Some(Found { file: path.clone(), line, json: node.value.to_json(), listed });
                }
            }
        }
        None
    }

    fn apply(&mut self, home: &Path, written: &Written) -> Result<Outcome, Box<Problem>> {
        let body = written.yaml()?;
        let Some(found) = self.find(&written.id) else {
            let path = if home.is_file() { home.to_owned() } else { home.join(file_name(&written.id)) };
            let text = edit::appended(self.texts.get(&path).map_or("", String::as_str), &body);
            self.set(path, text);
            return Ok(Outcome::Created);
        };
        if found.json == written.json {
            return Ok(Outcome::Unchanged);
        }
        let text = edit::replaced(&self.texts[&found.file], found.line, &body).filter(|_| !found.listed);
        let text = text.ok_or_else(|| listed(&written.id, &found))?;
        self.set(found.file, text);
        Ok(Outcome::Configured)
    }

    fn delete(&mut self, id: &ResourceId) -> Result<bool, Box<Problem>> {
        let Some(found) = self.find(id) else { return Ok(false) };
        let text = edit::removed(&self.texts[&found.file], found.line).filter(|_| !found.listed);
        let text = text.ok_or_else(|| listed(id, &found))?;
        self.set(found.file, text);
        Ok(true)
    }

    fn set(&mut self, path: PathBuf, text: String) {
        self.texts.insert(path.clone(), text.clone());
        self.changed.insert(path, Some(text).filter(|text| !text.is_empty()));
    }

    /// Checks all together, and writes what is other than it was.
    fn write(self, home: &Path, dry_run: bool) -> Result<(), Vec<Problem>> {
        let paths = [home.to_owned()];
        // What is immutable must be as it was; of a folder that is broken nothing is known.
        let before = load_with(&paths, &Snapshot::default(), &Overlay::new()).unwrap_or_default();
        load_with(&paths, &before, &self.changed)?;
        if dry_run {
            return Ok(());
        }
        for (path, text) in &self.changed {
            put(path, text.as_deref()).map_err(|error| {
                vec![Problem {
                    place: Place { file: Arc::new(path.clone()), position: None },
                    resource: None,
                    field: String::new(),
                    message: format!("this cannot be written ({error})"),
                    fix: "check the folder's rights and its disk".into(),
                }]
            })?;
        }
        Ok(())
    }
}

/// Writes aside and renames, so that nobody reads half a file; or removes it.
fn put(path: &Path, text: Option<&str>) -> io::Result<()> {
    let Some(text) = text else { return fs::remove_file(path) };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // A name with a dot before it is read by nobody.
    let aside = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let written = (|| {
        let mut file = fs::File::create(&aside)?;
        if let Ok(there) = fs::metadata(path) {
            file.set_permissions(there.permissions())?;
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&aside, path)
    })();
    if written.is_err() {
        // It may not be there.
        let _ = fs::remove_file(&aside);
    }
    written
}

/// A resource's own file. No namespace and no kind holds a dot.
fn file_name(id: &ResourceId) -> String {
    let kind = id.kind.as_str().to_lowercase();
    match id.namespace.as_str() {
        DEFAULT_NAMESPACE => format!("{kind}-{}.yaml", id.name),
        namespace => format!("{namespace}.{kind}-{}.yaml", id.name),
    }
}

fn listed(id: &ResourceId, found: &Found) -> Box<Problem> {
    Box::new(Problem {
        place: Place { file: Arc::new(found.file.clone()), position: None },
        resource: Some(id.clone()),
        field: String::new(),
        message: "it is an item of a `kind: List`".into(),
        fix: "edit the file, or make it a document of its own".into(),
    })
}
