//! What the API server, or the way to it, answered instead of what was asked for.
//!
//! The one place that reads an error's words: everything else asks for its [`ApiErrorKind`] and whose fault it is.

mod words;

use std::fmt;

use git_deploy_core::deployment::Blame;
use git_deploy_manifest::{ObjectId, without_values};
use serde_json::Value;

pub(crate) use words::together;

/// A field that another manager holds with another value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldConflict {
    /// The field, as the API server writes it: `.spec.replicas`.
    pub field: String,
    /// Who holds it, such as `kubectl-client-side-apply`.
    pub manager: String,
}

/// What kind of answer it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiErrorKind {
    /// No connection, or it broke off.
    Unreachable,
    /// No answer in time.
    TimedOut,
    /// 401: the credentials are not, or no longer, valid.
    Unauthorized,
    /// 403: these credentials may not do that.
    Forbidden,
    /// 404: there is no such object, namespace or kind.
    NotFound,
    /// 409: other managers hold fields that we want otherwise.
    FieldConflict(Vec<FieldConflict>),
    /// 409: it changed meanwhile, or is another object of the same name.
    Changed,
    /// The object itself is not valid.
    Invalid,
    /// A field that can never be changed would change.
    Immutable,
    /// An admission webhook, policy or pod security standard refused it.
    Denied,
    /// A webhook cannot be asked without a change being made.
    NoDryRun,
    /// A quota is used up.
    Quota,
    /// The API server is not ready for this yet; the same request can succeed later.
    NotYet,
    /// 429: too many requests.
    TooMany,
    /// A webhook, the API server, or something between failed.
    Server,
    /// The answer is none of an API server.
    NotUnderstood,
}

/// An answer that is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    kind: ApiErrorKind,
    code: u16,
    message: String,
    is_no_status: bool,
    /// All that was said, where the message is less.
    whole: Option<Box<Value>>,
}

impl std::error::Error for ApiError {}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl ApiError {
    pub(crate) fn new(kind: ApiErrorKind, message: impl Into<String>) -> Self {
        Self { kind, code: 0, message: words::line(&message.into()), is_no_status: true, whole: None }
    }

    /// A refusal by whoever does not know yet what there is, and who may do what, which is none.
    pub(crate) fn not_ready(refusal: &dyn fmt::Display) -> Self {
        Self::new(ApiErrorKind::Unreachable, format!("the API server is not ready yet: {refusal}"))
    }

    /// An answer by whoever stands in a cluster's place, which is none.
    pub(crate) fn in_its_place(self) -> Self {
        Self::new(ApiErrorKind::Unreachable, self.message)
    }

    /// An answer with an error's status code.
    pub(crate) fn from_answer(code: u16, body: &[u8]) -> Self {
        let status: Option<Value> =
            serde_json::from_slice(body).ok().filter(|v: &Value| v["kind"] == "Status");
        let Some(status) = status else {
            let text = String::from_utf8_lossy(body);
            let first_line = text.trim().lines().next().unwrap_or_default();
            let message = if first_line.is_empty() || first_line.starts_with('<') {
                format!("the answer was HTTP status {code}")
            } else {
                format!("the answer was HTTP status {code}: {first_line}")
            };
            return Self {
                kind: by_code(code),
                code,
                message: words::line(&message),
                is_no_status: true,
                whole: None,
            };
        };
        let message = status["message"].as_str().unwrap_or_default();
        let kind = classify(code, &status, message);
        let told = in_words(&kind, code, &status);
        let whole = (told.len() < message.len()).then(|| Box::new(status.clone()));
        Self { kind, code, message: told, is_no_status: false, whole }
    }

    /// The same, said of an object: the values of a Secret are not told.
    pub(crate) fn about(mut self, id: &ObjectId, object: &Value) -> Self {
        // Before it is shortened: no part of a value is told either.
        if let Some(status) = self.whole.take() {
            self.message = in_words(&self.kind, self.code, &words::masked(&status, id, object));
        }
        self.message = without_values(id, object, &self.message);
        self
    }

    /// What kind of answer it was.
    pub fn kind(&self) -> &ApiErrorKind {
        &self.kind
    }

    /// The HTTP status, 0 where there was no answer.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// Whether what was asked for is not there.
    pub fn is_not_found(&self) -> bool {
        self.kind == ApiErrorKind::NotFound
    }

    /// Whether it is the kind that the API server does not serve, rather than the object that it does not have.
    pub(crate) fn is_no_such_kind(&self) -> bool {
        self.is_not_found()
            && (self.is_no_status || self.message.contains("could not find the requested resource"))
    }

    /// Whether somebody was refused who did not say who it is.
    pub(crate) fn is_anonymous(&self) -> bool {
        self.message.contains("system:anonymous")
    }

    /// Whether it is because the namespace is being deleted.
    pub(crate) fn is_of_leaving_namespace(&self) -> bool {
        self.message.contains("because it is being terminated")
    }

    /// Whether it is an object, or a namespace, of that name that is not there.
    pub(crate) fn names_as_missing(&self, name: &str) -> bool {
        self.message.contains(&format!("\"{name}\" not found"))
    }

    /// Whose fault it is. In doubt nobody's.
    pub fn blame(&self) -> Blame {
        match self.kind {
            ApiErrorKind::Invalid
            | ApiErrorKind::Immutable
            | ApiErrorKind::Denied
            | ApiErrorKind::NoDryRun => Blame::Branch,
            // Somebody has changed the object by hand: every branch would meet that.
            ApiErrorKind::FieldConflict(_)
            | ApiErrorKind::Unreachable
            | ApiErrorKind::TimedOut
            | ApiErrorKind::Unauthorized
            | ApiErrorKind::Forbidden
            | ApiErrorKind::NotFound
            | ApiErrorKind::Changed
            | ApiErrorKind::Quota
            | ApiErrorKind::NotYet
            | ApiErrorKind::TooMany
            | ApiErrorKind::Server
            | ApiErrorKind::NotUnderstood => Blame::Nobody,
        }
    }

    /// What a person can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self.kind {
            ApiErrorKind::FieldConflict(_) => {
                Some("leave these fields out of the manifest, or take them over with --force-conflicts")
            }
            // A program that gives none says itself why.
            ApiErrorKind::Unauthorized if self.is_unasked() => None,
            ApiErrorKind::Unauthorized => Some("the login to the cluster is no longer valid: log in again"),
            ApiErrorKind::Quota => Some("have the quota raised, or make room in it"),
            ApiErrorKind::Immutable => {
                Some("give the object another name, or delete it by hand where that loses nothing")
            }
            _ => None,
        }
    }

    /// Whether nobody has answered.
    pub(crate) fn is_no_answer(&self) -> bool {
        matches!(self.kind, ApiErrorKind::Unreachable | ApiErrorKind::TimedOut)
    }

    /// Whether nobody was asked, as there are no credentials: whoever gives them may be away, too.
    fn is_unasked(&self) -> bool {
        self.kind == ApiErrorKind::Unauthorized && self.code == 0
    }

    /// Whether the API server has answered that whoever asks may not do that, or is not known.
    pub(crate) fn is_refusal_of_somebody(&self) -> bool {
        matches!(self.kind, ApiErrorKind::Unauthorized | ApiErrorKind::Forbidden) && !self.is_unasked()
    }

    /// Whether it says nothing of what was asked for: nobody was asked, or has answered, or only what stands before the API
    /// server or holds its objects, in its place.
    pub(crate) fn is_away(&self) -> bool {
        // What hands requests on to a cluster says with any of them that it is away: Rancher with 500.
        let is_before_it = matches!(self.code, 500..=599) && self.is_no_status;
        self.is_no_answer()
            || self.is_unasked()
            || self.kind == ApiErrorKind::Server && (is_before_it || self.is_of_store())
    }

    /// Whether it decides nothing about what was asked for: it is away, has too much to do, or no longer knows who asks.
    pub(crate) fn is_undecided(&self) -> bool {
        self.is_away() || self.is_passing() || self.kind == ApiErrorKind::Unauthorized
    }

    /// Whether what holds the objects cannot do it now. What it will never hold is the object's own trouble.
    fn is_of_store(&self) -> bool {
        self.message.contains("etcdserver: ") && !self.message.contains("request is too large")
    }

    /// Whether the same request can succeed a moment later.
    pub(crate) fn is_passing(&self) -> bool {
        match self.kind {
            ApiErrorKind::Unreachable | ApiErrorKind::TooMany | ApiErrorKind::NotYet => true,
            ApiErrorKind::Server => self.is_away() || matches!(self.code, 502..=504),
            _ => false,
        }
    }
}

fn by_code(code: u16) -> ApiErrorKind {
    match code {
        401 => ApiErrorKind::Unauthorized,
        403 => ApiErrorKind::Forbidden,
        404 => ApiErrorKind::NotFound,
        // A list that is read page by page is too old.
        409 | 410 => ApiErrorKind::Changed,
        400 | 413 | 422 => ApiErrorKind::Invalid,
        429 => ApiErrorKind::TooMany,
        500..=599 => ApiErrorKind::Server,
        _ => ApiErrorKind::NotUnderstood,
    }
}

/// The API server has one word for many things; what tells them apart stands in its sentences.
fn classify(code: u16, status: &Value, message: &str) -> ApiErrorKind {
    let has = |text: &str| message.contains(text);
    if has("does not support dry run") {
        return ApiErrorKind::NoDryRun;
    }
    if has("failed calling webhook") || has("failed to call webhook") {
        return ApiErrorKind::Server;
    }
    if has("denied the request") || has("denied request:") || has("violates PodSecurity") {
        return ApiErrorKind::Denied;
    }
    match code {
        403 if has("exceeded quota") => ApiErrorKind::Quota,
        403 if has("status unknown for quota") || has("not yet ready to handle request") => {
            ApiErrorKind::NotYet
        }
        403 if has("violates") || has("must specify") || has("per Container") || has("per Pod") => {
            ApiErrorKind::Denied
        }
        409 => match field_conflicts(status) {
            conflicts if conflicts.is_empty() => ApiErrorKind::Changed,
            conflicts => ApiErrorKind::FieldConflict(conflicts),
        },
        422 if has("immutable") || has("may not change once set") || has("updates to ") => {
            ApiErrorKind::Immutable
        }
        // What the schema refuses is told as an internal error.
        500 if has("failed to create typed patch object") || has("failed to convert new object") => {
            ApiErrorKind::Invalid
        }
        _ => by_code(code),
    }
}

fn field_conflicts(status: &Value) -> Vec<FieldConflict> {
    let causes = status.pointer("/details/causes").and_then(Value::as_array);
    causes
        .into_iter()
        .flatten()
        .filter(|cause| cause["reason"] == "FieldManagerConflict")
        .map(|cause| {
            let text = |key: &str| cause[key].as_str().unwrap_or_default();
            // `conflict with "kubectl-edit" using apps/v1 at ...`
            let manager = text("message").split('"').nth(1).unwrap_or("another manager");
            FieldConflict { field: text("field").to_owned(), manager: manager.to_owned() }
        })
        .collect()
}

fn in_words(kind: &ApiErrorKind, code: u16, status: &Value) -> String {
    let text = match kind {
        ApiErrorKind::FieldConflict(conflicts) => of_conflicts(conflicts),
        _ => words::brief(status),
    };
    match text.trim() {
        "" => format!("the answer was HTTP status {code}"),
        text => words::line(text),
    }
}

fn of_conflicts(conflicts: &[FieldConflict]) -> String {
    let mut managers: Vec<&str> = conflicts.iter().map(|conflict| conflict.manager.as_str()).collect();
    managers.sort_unstable();
    managers.dedup();
    let of = |manager: &&str| {
        let fields: Vec<&str> =
            conflicts.iter().filter(|c| c.manager == **manager).map(|c| c.field.as_str()).collect();
        format!("'{manager}' holds {}", fields.join(", "))
    };
    managers.iter().map(of).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
#[path = "api_error_tests.rs"]
mod tests;
