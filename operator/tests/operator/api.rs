//! An API server in memory: as much of one as the reconcilers ask for, that counts what is written and refuses what it is told to.

use std::{
    collections::{BTreeMap, HashMap},
    convert::Infallible,
    sync::{Arc, Mutex},
};

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use kube::{Client, client::Body};
use serde_json::{Value, json};

/// Says with which code a request is refused.
type Refusal = Box<dyn FnMut(&Method, &str) -> Option<u16> + Send>;

#[derive(Default)]
pub struct Api {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// By path, such as `/api/v1/namespaces/shops/secrets/acme-client-web`.
    objects: BTreeMap<String, Value>,
    /// Each write: method and path. Events are no objects here.
    writes: Vec<String>,
    events: Vec<Value>,
    version: u64,
    refusal: Option<Refusal>,
}

impl Api {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    pub fn client(self: &Arc<Self>) -> Client {
        let api = Arc::clone(self);
        let service = tower::service_fn(move |request: Request<Body>| {
            let api = Arc::clone(&api);
            async move { Ok::<_, Infallible>(api.answer(request).await) }
        });
        Client::new(service, "default")
    }

    /// Puts an object there, as `kubectl apply` would.
    pub fn put(&self, path: &str, mut object: Value) {
        let mut inner = self.inner.lock().unwrap();
        let before = inner.objects.get(path).cloned();
        if let Some(before) = &before {
            let mut merged = before.clone();
            merged["spec"] = object["spec"].take();
            merged["metadata"]["generation"] = json!(before["metadata"]["generation"].as_i64().unwrap() + 1);
            object = merged;
        }
        inner.store(path, object);
    }

    pub fn get(&self, path: &str) -> Option<Value> {
        self.inner.lock().unwrap().objects.get(path).cloned()
    }

    /// Puts an object in another's place.
    pub fn replace(&self, path: &str, object: Value) {
        self.inner.lock().unwrap().store(path, object);
    }

    /// Where there are objects.
    pub fn paths(&self) -> Vec<String> {
        self.inner.lock().unwrap().objects.keys().cloned().collect()
    }

    /// Deletes as `kubectl delete` would: what has finalizers is only marked.
    pub fn delete(&self, path: &str) {
        self.inner.lock().unwrap().delete(path);
    }

    /// What was written since the last call.
    pub fn writes(&self) -> Vec<String> {
        std::mem::take(&mut self.inner.lock().unwrap().writes)
    }

    /// The reasons of all Events.
    pub fn events(&self) -> Vec<String> {
        self.inner
            .lock()
            .unwrap()
            .events
            .iter()
            .map(|event| event["reason"].as_str().unwrap().to_owned())
            .collect()
    }

    pub fn refuse(&self, refusal: impl FnMut(&Method, &str) -> Option<u16> + Send + 'static) {
        self.inner.lock().unwrap().refusal = Some(Box::new(refusal));
    }

    pub fn refuse_nothing(&self) {
        self.inner.lock().unwrap().refusal = None;
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        let mut inner = self.inner.lock().unwrap();
        let path = head.uri.path().to_owned();
        if let Some(refusal) = &mut inner.refusal
            && let Some(code) = refusal(&head.method, &path)
        {
            return refused(code, "refused by the test");
        }
        let apply = head
            .headers
            .get("content-type")
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/apply-patch"));
        let query: HashMap<String, String> =
            url::form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes())
                .into_owned()
                .collect();
        let (code, answer) = inner.handle(&head.method, &path, &query, body, apply);
        if code >= 400 { refused(code, answer.as_str().unwrap_or_default()) } else { respond(code, &answer) }
    }
}

impl Inner {
    fn handle(
        &mut self,
        method: &Method,
        path: &str,
        query: &HashMap<String, String>,
        body: Value,
        apply: bool,
    ) -> (u16, Value) {
        if path.contains("/events") {
            self.events.push(body.clone());
            return (201, body);
        }
        // /api/v1/namespaces/NS/PLURAL[/NAME[/status]], /apis/GROUP/V/…, or without the namespace, for lists only.
        let parts: Vec<_> = path.split('/').collect();
        let plural = parts.iter().position(|part| *part == "namespaces").map_or(parts.len() - 1, |at| at + 2);
        if *method == Method::GET && parts.len() == plural + 1 {
            return (200, self.list(&parts, plural, query));
        }
        let (object_path, status) = match path.strip_suffix("/status") {
            Some(path) => (path.to_owned(), true),
            None => (path.to_owned(), false),
        };
        if *method != Method::GET {
            self.writes.push(format!("{method} {path}"));
        }
        let there = self.objects.get(&object_path).cloned();
        match (method.as_str(), there) {
            ("GET", Some(object)) => (200, object),
            ("POST", _) => {
                let path = format!("{path}/{}", body["metadata"]["name"].as_str().unwrap());
                if self.objects.contains_key(&path) {
                    return (409, json!("AlreadyExists"));
                }
                (201, self.store(&path, body))
            }
            ("PUT", Some(object)) => {
                let version = &body["metadata"]["resourceVersion"];
                if !version.is_null() && *version != object["metadata"]["resourceVersion"] {
                    return (409, json!("Conflict"));
                }
                (200, self.store(&object_path, body))
            }
            ("PATCH", None) if !apply || status => (404, json!("NotFound")),
            ("PATCH", None) => (201, self.store(&object_path, body)),
            ("PATCH", Some(mut object)) => {
                let version = &body["metadata"]["resourceVersion"];
                if !version.is_null() && *version != object["metadata"]["resourceVersion"] {
                    return (409, json!("Conflict"));
                }
                if status {
                    object["status"] = body["status"].clone();
                } else {
                    merge(&mut object, &body);
                }
                let gone = object["metadata"]["deletionTimestamp"].is_string() && no_finalizers(&object);
                let stored = self.store(&object_path, object);
                if gone {
                    self.objects.remove(&object_path);
                }
                (200, stored)
            }
            ("DELETE", Some(object)) => {
                let wanted = &body["preconditions"]["uid"];
                if !wanted.is_null() && *wanted != object["metadata"]["uid"] {
                    return (409, json!("Conflict"));
                }
                self.delete(&object_path);
                (200, object)
            }
            (_, None) => (404, json!("NotFound")),
            (other, _) => panic!("{other} {path}: the test's API server does not know this"),
        }
    }

    fn list(&self, parts: &[&str], plural: usize, query: &HashMap<String, String>) -> Value {
        let selector = query.get("labelSelector").map_or("", String::as_str);
        let name = query.get("fieldSelector").and_then(|selector| selector.strip_prefix("metadata.name="));
        let fits = |path: &&String| {
            let of: Vec<_> = path.split('/').collect();
            let at = of.len() - 2;
            let namespaced = parts.contains(&"namespaces");
            of[at] == parts[plural]
                && (!namespaced || of[at - 1] == parts[plural - 1])
                && name.is_none_or(|name| of[at + 1] == name)
        };
        let items: Vec<_> = self
            .objects
            .iter()
            .filter(|(path, _)| fits(path))
            .map(|(_, object)| object.clone())
            .filter(|object| selects(selector, &object["metadata"]["labels"]))
            .collect();
        json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": "1"}, "items": items})
    }

    fn store(&mut self, path: &str, mut object: Value) -> Value {
        self.version += 1;
        let parts: Vec<_> = path.split('/').collect();
        let metadata = &mut object["metadata"];
        metadata["resourceVersion"] = json!(self.version.to_string());
        if metadata["uid"].is_null() {
            metadata["uid"] = json!(format!("uid-{}", self.version));
            metadata["generation"] = json!(1);
            metadata["creationTimestamp"] = json!(format!("2026-11-22T00:00:{:02}Z", self.version.min(59)));
        }
        metadata["name"] = json!(parts[parts.len() - 1]);
        metadata["namespace"] = json!(parts[parts.len() - 3]);
        self.objects.insert(path.to_owned(), object.clone());
        object
    }

    fn delete(&mut self, path: &str) {
        let Some(object) = self.objects.get_mut(path) else { return };
        if no_finalizers(object) {
            self.objects.remove(path);
        } else {
            object["metadata"]["deletionTimestamp"] = json!("2026-11-22T01:00:00Z");
        }
    }
}

/// `key=value` and `key in (one,other)`, with commas between.
fn selects(selector: &str, labels: &Value) -> bool {
    let mut rest = selector;
    while !rest.is_empty() {
        let set = rest.find(" in (").filter(|at| rest.find(',').is_none_or(|comma| *at < comma));
        let (key, values, end) = if let Some(at) = set {
            let end = rest.find(')').expect("a set is closed");
            (&rest[..at], &rest[at + " in (".len()..end], end + 1)
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            let (key, value) = rest[..end].split_once('=').expect("key=value");
            (key, value, end)
        };
        if !values.split(',').any(|value| labels[key] == *value) {
            return false;
        }
        rest = rest[end..].trim_start_matches(',');
    }
    true
}

fn no_finalizers(object: &Value) -> bool {
    object["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty)
}

/// JSON merge patch (RFC 7396), which is near enough to server-side apply by one manager.
fn merge(into: &mut Value, patch: &Value) {
    match (into, patch) {
        (Value::Object(into), Value::Object(patch)) => {
            for (key, value) in patch {
                if value.is_null() {
                    into.remove(key);
                } else {
                    merge(into.entry(key.clone()).or_insert(Value::Null), value);
                }
            }
        }
        (into, patch) => *into = patch.clone(),
    }
}

fn refused(code: u16, reason: &str) -> Response<Body> {
    let status = json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": reason,
    });
    respond(code, &status)
}

fn respond(code: u16, body: &Value) -> Response<Body> {
    Response::builder()
        .status(StatusCode::from_u16(code).unwrap())
        .header("content-type", "application/json")
        .body(Body::from(body.to_string().into_bytes()))
        .unwrap()
}
