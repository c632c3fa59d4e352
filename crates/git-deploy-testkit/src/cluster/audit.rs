//! What the API server was asked, in the order in which it was.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// One request to the API server. Reading by the control plane itself is left out.
#[derive(Debug, Clone)]
pub struct AuditEvent {
    /// `create`, `patch`, `delete`, `deletecollection`, `get`, `list`, `watch`, ..
    pub verb: String,
    /// `deployments`, or `deployments/status`; empty where no resource was asked for.
    pub resource: String,
    /// `apps`; empty for the core.
    pub group: String,
    /// Empty for what is in no namespace.
    pub namespace: String,
    /// Empty for lists, and for creation under a name that the server makes.
    pub name: String,
    /// `admin`, `alice`, `system:serviceaccount:kube-system:deployment-controller`, ..
    pub user: String,
    /// What the client calls itself.
    pub user_agent: String,
    /// The HTTP status; 0 for a request without an answer yet.
    pub code: u16,
    /// Whether nothing was to be changed.
    pub dry_run: bool,
    /// Path and query.
    pub uri: String,
    /// When the request came. As text these times sort as they should.
    pub received: String,
    /// When it was answered; for a watch, when it began or ended.
    pub stage_timestamp: String,
    /// For changes of a status: the object as it was then.
    pub object: Option<Value>,
}

impl AuditEvent {
    /// Whether the tool under test asked.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.user_agent.starts_with("git-deploy/")
    }

    /// Whether it is a request that changes something, if it succeeds.
    #[must_use]
    pub fn is_change(&self) -> bool {
        !self.dry_run && !matches!(self.verb.as_str(), "get" | "list" | "watch")
    }

    /// Whether it deletes something.
    #[must_use]
    pub fn is_delete(&self) -> bool {
        self.is_change() && self.verb.starts_with("delete")
    }

    fn read(event: &Value) -> Self {
        let text =
            |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut resource = text("/objectRef/resource");
        let subresource = text("/objectRef/subresource");
        if !subresource.is_empty() {
            resource = format!("{resource}/{subresource}");
        }
        let uri = text("/requestURI");
        let code = event.pointer("/responseStatus/code").and_then(Value::as_u64).unwrap_or_default();
        Self {
            verb: text("/verb"),
            resource,
            group: text("/objectRef/apiGroup"),
            namespace: text("/objectRef/namespace"),
            name: text("/objectRef/name"),
            user: text("/user/username"),
            user_agent: text("/userAgent"),
            code: u16::try_from(code).unwrap_or_default(),
            // A deletion says so in its body.
            dry_run: uri.contains("dryRun=All") || text("/requestObject/dryRun/0") == "All",
            uri,
            received: text("/requestReceivedTimestamp"),
            stage_timestamp: text("/stageTimestamp"),
            object: event.get("responseObject").cloned(),
        }
    }
}

/// Whether a request with that path was written down.
pub(super) fn contains(log: &Path, path: &str) -> bool {
    fs::read_to_string(log).is_ok_and(|content| content.contains(path))
}

/// All requests, each once: a watch that has ended is told of twice.
pub(super) fn read(log: &Path) -> Vec<AuditEvent> {
    let content = fs::read_to_string(log).unwrap_or_else(|error| panic!("no audit log: {error}"));
    let mut events: Vec<AuditEvent> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    // The last line may still be written, so one that cannot be read is none.
    for event in content.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let id = event["auditID"].as_str().unwrap_or_default().to_owned();
        let place = *places.entry(id).or_insert(events.len());
        if place == events.len() {
            events.push(AuditEvent::read(&event));
        } else {
            events[place] = AuditEvent::read(&event);
        }
    }
    events.sort_by(|one, other| one.received.cmp(&other.received));
    events
}
