//! An object of the set, and where the API server has it.

use git_deploy_manifest::ObjectId;
use kube::core::discovery::ApiResource;
use serde_json::Value;

/// An object as it is wanted, and where the API server has it.
#[derive(Debug, Clone)]
pub struct Target {
    /// What it is known by; the namespace is filled in wherever the kind lives in one.
    pub id: ObjectId,
    /// The kind, as the API server names it in paths.
    pub resource: ApiResource,
    /// The object as it is wanted.
    pub wanted: Value,
}

/// An object that was applied, as the API server answered.
#[derive(Debug, Clone)]
pub struct Applied {
    /// What was applied.
    pub target: Target,
    /// The object that it was then: another one of the same name is not ours.
    pub uid: String,
    /// What its status must have caught up with (`metadata.generation`), where the kind has that.
    pub generation: Option<i64>,
    /// The whole answer.
    pub live: Value,
}
