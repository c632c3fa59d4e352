//! What a branch says in its `deploy.toml` and base decides.

use git_deploy_core::ids::CommitId;

/// Says that these tables and keys of a commit's `deploy.toml` are not what counts. Nothing where there are none.
#[must_use]
pub fn remark(differing: &[String], commit: CommitId, base: &str) -> Option<String> {
    let (what, count) = match differing {
        [] => return None,
        [one] => (one.clone(), "counts"),
        [begin @ .., last] => (format!("{} and {last}", begin.join(", ")), "count"),
    };
    let commit = commit.brief();
    Some(format!(
        "{what} in deploy.toml of commit {commit} {count} when it has landed: until then those of '{base}' do"
    ))
}
