//! From text to trees, one a document, within a budget: what is hostile is refused before it costs anything.

use std::collections::{HashMap, HashSet};

use serde_saphyr::granit_parser::{
    ErrorKind, Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput, Tag,
};

use super::{Field, Node, Value, scalar};
use crate::problem::{Fault, Position};

/// The deepest nesting; no resource needs more than a dozen.
const MAX_DEPTH: usize = 64;
/// So many broken documents are told of; the rest of the text is not looked at.
const MAX_BROKEN_DOCUMENTS: usize = 20;

/// What all texts of one load may still use together, aliases written out.
#[derive(Debug)]
pub(crate) struct Budget {
    nodes: usize,
    bytes: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { nodes: 1_000_000, bytes: 64 << 20 }
    }
}

impl Budget {
    fn spend(&mut self, size: Size, position: Position) -> Result<(), Stop> {
        match (self.nodes.checked_sub(size.nodes), self.bytes.checked_sub(size.bytes)) {
            (Some(nodes), Some(bytes)) => {
                *self = Self { nodes, bytes };
                Ok(())
            }
            _ => Err(Stop::Text(fault(
                position,
                "the resources are too large, aliases written out",
                "keep them under a million values and 64 MiB; aliases of aliases grow fast",
            ))),
        }
    }
}

/// Why reading does not go on.
enum Stop {
    /// The document is broken; the next may be whole.
    Document(Fault),
    /// The rest of the text is not looked at.
    Text(Fault),
}

#[derive(Clone, Copy, Default)]
struct Size {
    nodes: usize,
    bytes: usize,
    depth: usize,
}

/// The documents of a text, and what is wrong with it. Empty documents are left out.
pub(crate) fn parse(text: &str, budget: &mut Budget) -> (Vec<Node>, Vec<Fault>) {
    let mut options = serde_saphyr::granit_parser::Options::default();
    options.set_emit_comments(false);
    let mut parser = Parser::new_from_str_with_options(text, options);
    let (mut documents, mut faults) = (Vec::new(), Vec::new());
    let mut broken = 0;
    loop {
        match document(&mut parser, budget, &mut faults) {
            Ok(Some(node)) if node.value == Value::Null => {}
            Ok(Some(node)) => documents.push(node),
            Ok(None) => break,
            Err(Stop::Text(fault)) => {
                faults.push(fault);
                break;
            }
            Err(Stop::Document(fault)) => {
                faults.push(fault);
                broken += 1;
                if broken == MAX_BROKEN_DOCUMENTS || !parser.proceed_next_document().unwrap_or(false) {
                    break;
                }
            }
        }
    }
    (documents, faults)
}

/// The next document; `None` at the end of the text. Faults that leave it readable are noted.
fn document<'text>(
    parser: &mut Parser<'text, StrInput<'text>>,
    budget: &mut Budget,
    faults: &mut Vec<Fault>,
) -> Result<Option<Node>, Stop> {
    let mut builder = Builder::default();
    loop {
        let Some(next) = parser.next_event() else { return Ok(None) };
        let (event, span) = next.map_err(|error| match error.kind() {
            ErrorKind::RecursionLimitExceeded => too_deep(mark(error.marker())),
            _ => Stop::Document(syntax(&error)),
        })?;
        match event {
            Event::StreamEnd => return Ok(None),
            Event::DocumentEnd => {
                return Ok(Some(builder.root.unwrap_or(Node { position: start(&span), value: Value::Null })));
            }
            event => builder.take(event, &span, budget, faults)?,
        }
    }
}

/// A document under construction.
#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, Size)>,
    root: Option<Node>,
}

/// A list or map that has not ended.
struct Open {
    position: Position,
    anchor: usize,
    size: Size,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map { fields: Vec<Field>, seen: HashSet<String>, key: Option<(String, Position)> },
}

impl Builder {
    fn take(
        &mut self,
        event: Event<'_>,
        span: &Span,
        budget: &mut Budget,
        faults: &mut Vec<Fault>,
    ) -> Result<(), Stop> {
        let position = start(span);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let size = Size { nodes: 1, bytes: text.len(), depth: 0 };
                budget.spend(size, position)?;
                if self.wants_key() {
                    self.keep(
                        anchor,
                        || Node { position, value: Value::Text(text.clone().into_owned()) },
                        size,
                        budget,
                    )?;
                    self.key(text.into_owned(), position);
                    return Ok(());
                }
                let value = match kind(&text, style, tag.as_deref()) {
                    Ok(value) => value,
                    Err(what) => {
                        faults.push(fault(position, what, "leave the tag out"));
                        Value::Null
                    }
                };
                self.end(Node { position, value }, anchor, size, budget, faults)
            }
            Event::SequenceStart(_, anchor, _) => {
                self.begin(position, anchor, Content::List(Vec::new()), budget)
            }
            Event::MappingStart(_, anchor, _) => {
                let content = Content::Map { fields: Vec::new(), seen: HashSet::new(), key: None };
                self.begin(position, anchor, content, budget)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(Open { position, anchor, size, content }) = self.open.pop() else { return Ok(()) };
                let value = match content {
                    Content::List(items) => Value::List(items),
                    Content::Map { fields, .. } => Value::Map(fields),
                };
                self.end(Node { position, value }, anchor, size, budget, faults)
            }
            Event::Alias(id) => {
                let Some((node, size)) = self.anchors.get(&id) else {
                    let fix = "write the value out";
                    return Err(Stop::Document(fault(
                        position,
                        "the alias stands inside of what it names",
                        fix,
                    )));
                };
                let (size, value) = (*size, node.value.clone());
                budget.spend(size, position)?;
                if self.open.len() + size.depth >= MAX_DEPTH {
                    return Err(too_deep(position));
                }
                if self.wants_key() {
                    let Value::Text(key) = value else { return Err(no_key(position)) };
                    self.key(key, position);
                    return Ok(());
                }
                self.end(Node { position, value }, 0, size, budget, faults)
            }
            _ => Ok(()),
        }
    }

    fn wants_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { content: Content::Map { key: None, .. }, .. }))
    }

    fn key(&mut self, text: String, position: Position) {
        if let Some(Open { content: Content::Map { key, .. }, .. }) = self.open.last_mut() {
            *key = Some((text, position));
        }
    }

    fn begin(
        &mut self,
        position: Position,
        anchor: usize,
        content: Content,
        budget: &mut Budget,
    ) -> Result<(), Stop> {
        if self.wants_key() {
            return Err(no_key(position));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep(position));
        }
        let size = Size { nodes: 1, bytes: 0, depth: 0 };
        budget.spend(size, position)?;
        self.open.push(Open { position, anchor, size, content });
        Ok(())
    }

    /// Puts a whole node to its place.
    fn end(
        &mut self,
        node: Node,
        anchor: usize,
        size: Size,
        budget: &mut Budget,
        faults: &mut Vec<Fault>,
    ) -> Result<(), Stop> {
        self.keep(anchor, || node.clone(), size, budget)?;
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        parent.size.nodes += size.nodes;
        parent.size.bytes += size.bytes;
        parent.size.depth = parent.size.depth.max(size.depth + 1);
        match &mut parent.content {
            Content::List(items) => items.push(node),
            Content::Map { fields, seen, key } => {
                if let Some((key, position)) = key.take() {
                    if seen.insert(key.clone()) {
                        fields.push(Field { key, position, node });
                    } else {
                        let message = format!("`{}` is here twice", shorten(&key));
                        faults.push(fault(position, message, "keep one of the two"));
                    }
                }
            }
        }
        Ok(())
    }

    fn keep(
        &mut self,
        anchor: usize,
        node: impl FnOnce() -> Node,
        size: Size,
        budget: &mut Budget,
    ) -> Result<(), Stop> {
        if anchor != 0 {
            let node = node();
            budget.spend(size, node.position)?;
            self.anchors.insert(anchor, (node, size));
        }
        Ok(())
    }
}

/// What a scalar is, by its tag, its quotes, or its looks.
fn kind(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, String> {
    match tag.map(|tag| (tag, tag.core_suffix())) {
        Some((_, Some("str"))) => Ok(Value::Text(text.to_owned())),
        Some((_, Some("null" | "bool" | "int" | "float"))) => Ok(scalar::resolve(text)),
        Some((tag, _)) => Err(format!("the tag {} says nothing here", shorten(&tag.original()))),
        None if style == ScalarStyle::Plain => Ok(scalar::resolve(text)),
        None => Ok(Value::Text(text.to_owned())),
    }
}

fn start(span: &Span) -> Position {
    mark(&span.start)
}

fn mark(marker: &Marker) -> Position {
    Position { line: marker.line().max(1), column: marker.col() + 1 }
}

fn fault(position: Position, message: impl Into<String>, fix: impl Into<String>) -> Fault {
    Fault { position, field: String::new(), message: message.into(), fix: fix.into() }
}

fn no_key(position: Position) -> Stop {
    Stop::Document(fault(
        position,
        "a list or map cannot be a field's name",
        "name the field by a plain word",
    ))
}

fn too_deep(position: Position) -> Stop {
    Stop::Text(fault(position, "this is nested too deeply", "no resource needs more than a dozen levels"))
}

/// The beginning of a text that may be of any length, on one line.
pub(crate) fn shorten(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut short = String::new();
    for (n, c) in text.chars().enumerate() {
        match c {
            _ if n == LONGEST => {
                short.push('…');
                break;
            }
            c if c.is_control() => short.extend(c.escape_default()),
            c => short.push(c),
        }
    }
    short
}

fn syntax(error: &ScanError) -> Fault {
    let fix = match error.kind() {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabAtBlockScalarStart
        | ErrorKind::TabInPlainScalar => "indent with spaces, not tabs".to_owned(),
        ErrorKind::UnclosedQuotedScalar
        | ErrorKind::DocumentIndicatorInQuotedScalar
        | ErrorKind::InvalidQuotedScalarIndent => "close the quotes".to_owned(),
        ErrorKind::UnclosedFlowCollection { open } => format!("close the `{open}`"),
        ErrorKind::MismatchedFlowCollectionEnd { open, close } => {
            format!("what opens with `{open}` does not close with `{close}`")
        }
        ErrorKind::UnexpectedEofFlowSequence | ErrorKind::ExpectedFlowSequenceSeparator => {
            "separate entries by commas, and close the list with `]`".to_owned()
        }
        ErrorKind::UnexpectedEofFlowMapping | ErrorKind::ExpectedFlowMappingSeparator => {
            "separate fields by commas, and close the map with `}`".to_owned()
        }
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidColonPlacement => {
            "check the indentation; put the text in quotes if the colon belongs to it".to_owned()
        }
        ErrorKind::UnknownAnchor => {
            "name an anchor (&name) that stands above; put the text in quotes if it begins with *".to_owned()
        }
        _ => "check the indentation, colons and quotes here and in the line above".to_owned(),
    };
    fault(mark(error.marker()), format!("this is no YAML: {}", error.info()), fix)
}
