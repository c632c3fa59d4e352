//! What files of manifests mean, for an environment that knows files only.

use git_deploy_core::environment::{Describe, ObjectName};
use git_deploy_manifest::{Object, SourceFile, diff, read};

/// Reads files as this program writes them: YAML, one object a file.
pub struct Manifests;

impl Describe for Manifests {
    fn name(&self, path: &str, bytes: &[u8]) -> ObjectName {
        let Some(object) = object(path, bytes) else { return ObjectName::of_file(path) };
        let id = object.id();
        ObjectName {
            kind: id.kind.clone(),
            namespace: id.namespace.clone(),
            name: id.name.clone(),
            api_version: id.api_version(),
        }
    }

    fn diff(&self, path: &str, before: Option<&[u8]>, after: Option<&[u8]>) -> Option<String> {
        let read = |bytes: Option<&[u8]>| bytes.map(|bytes| object(path, bytes));
        let (before, after) = (read(before), read(after));
        // What somebody else committed need not be a manifest.
        if matches!((&before, &after), (Some(None), _) | (_, Some(None))) {
            return None;
        }
        let (before, after) = (before.flatten(), after.flatten());
        let id = after.as_ref().or(before.as_ref())?.id();
        let text = diff(id, before.as_ref().map(Object::value), after.as_ref().map(Object::value));
        Some(text).filter(|text| !text.is_empty())
    }
}

/// The object of a file that holds one.
fn object(path: &str, bytes: &[u8]) -> Option<Object> {
    let file = SourceFile { path: path.to_owned(), bytes: bytes.to_owned() };
    let mut objects = read(&[file]).ok()?;
    if objects.len() == 1 { objects.pop() } else { None }
}
