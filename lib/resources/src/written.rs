//! Resources as somebody wrote them, to be applied: read as strictly as files are, but each by itself.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::Value as Json;

use crate::{
    document::{self, Document},
    edit, files,
    problem::{Place, Problem, ResourceId},
    snapshot::Snapshot,
    yaml::{Budget, Node, parse},
};

/// A resource to be applied.
#[derive(Clone, Debug)]
pub struct Written {
    /// What it is called; its namespace is `default` where it names none.
    pub id: ResourceId,
    /// Whether it names its namespace itself.
    pub names_namespace: bool,
    /// What is written, and nothing else: no defaults, no status.
    pub json: Json,
    file: Arc<PathBuf>,
    node: Node,
    /// Its own YAML text, comments and all; none of an item of a list.
    text: Option<String>,
}

impl Written {
    /// Where a field stands, or what of it is there.
    #[must_use]
    pub fn place(&self, field: &str) -> Place {
        Place { file: Arc::clone(&self.file), position: Some(self.node.locate(field)) }
    }

    /// The same in a namespace, if it names none itself.
    #[must_use]
    pub fn within(mut self, namespace: &str) -> Self {
        if !self.names_namespace && self.id.namespace != namespace {
            namespace.clone_into(&mut self.id.namespace);
            self.json["metadata"]["namespace"] = namespace.into();
            self.names_namespace = true;
            self.text = None;
        }
        self
    }

    /// As YAML.
    pub(crate) fn yaml(&self) -> Result<String, Box<Problem>> {
        match &self.text {
            Some(text) => Ok(text.clone()),
            None => serde_saphyr::to_string(&self.json).map_err(|error| {
                Box::new(self.problem("", format!("this is no YAML ({error})"), "write it plainly"))
            }),
        }
    }

    /// Something wrong with it.
    pub(crate) fn problem(&self, field: &str, message: impl Into<String>, fix: impl Into<String>) -> Problem {
        Problem {
            place: self.place(field),
            resource: Some(self.id.clone()),
            field: field.to_owned(),
            message: message.into(),
            fix: fix.into(),
        }
    }
}

/// The resources of files, and of folders with all `*.yaml` and `*.yml` in them, in the order in which they refer to each other. What they refer to may be elsewhere.
///
/// # Errors
/// Everything that is wrong with any of them.
pub fn written(paths: &[PathBuf]) -> Result<Vec<Written>, Vec<Problem>> {
    let (files, mut problems) = files::find(paths);
    let mut reader = Reader::default();
    for path in files {
        match files::read(&path) {
            Ok(text) => reader.read(&path, &text),
            Err(problem) => problems.push(*problem),
        }
    }
    problems.append(&mut reader.problems);
    reader.ended(problems)
}

/// Those of a text, such as standard input, which is called `name` where something is wrong with it.
///
/// # Errors
/// As [`written()`].
pub fn written_in(name: &Path, text: &str) -> Result<Vec<Written>, Vec<Problem>> {
    let mut reader = Reader::default();
    reader.read(name, text);
    let problems = std::mem::take(&mut reader.problems);
    reader.ended(problems)
}

#[derive(Default)]
struct Reader {
    budget: Budget,
    found: Vec<Written>,
    problems: Vec<Problem>,
}

impl Reader {
    fn read(&mut self, path: &Path, text: &str) {
        let file = Arc::new(path.to_owned());
        let (nodes, faults) = parse(text, &mut self.budget);
        self.problems.extend(faults.into_iter().map(|fault| fault.at(&file, None)));
        for node in nodes {
            let line = node.position.line;
            let listed = node.text("kind") == Some("List");
            let mut documents = Vec::new();
            document::read(node, &file, &Snapshot::default(), &mut documents, &mut self.problems);
            for Document { id, node, .. } in documents {
                let Some(node) = node else { continue };
                let mut json = node.value.to_json();
                if let Json::Object(fields) = &mut json {
                    fields.remove("status");
                }
                if let Some(Json::Object(metadata)) = json.get_mut("metadata") {
                    metadata.remove("managedFields");
                }
                let text = edit::body(text, line).filter(|_| !listed).map(str::to_owned);
                let names_namespace = json["metadata"]["namespace"].is_string();
                self.found.push(Written { id, names_namespace, json, file: Arc::clone(&file), node, text });
            }
        }
    }

    fn ended(mut self, mut problems: Vec<Problem>) -> Result<Vec<Written>, Vec<Problem>> {
        if problems.is_empty() {
            self.found.sort_by_key(|written| written.id.kind);
            return Ok(self.found);
        }
        problems.sort_by(|a, b| (&a.place, &a.field).cmp(&(&b.place, &b.field)));
        Err(problems)
    }
}
