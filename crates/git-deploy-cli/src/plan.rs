//! What becomes of objects, as every command shows it.

use anstyle::Style;
use git_deploy_core::environment::{Effect, Left, ObjectName, Plan, PlannedObject};
use git_deploy_core::ids::{DeploymentId, RefName};
use git_deploy_core::ledger::Skip;

use crate::shell::{self, Object, Shell, Text};

/// The lines between the hunks of a difference.
const HEADING: Style = Style::new().bold();

/// What an object is known by, as every `--json` says it. What is not known is `null`: a namespace that no manifest names,
/// and all but the name of a file that holds no object.
pub fn name(object: &ObjectName) -> Object {
    let known = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    Object::new()
        .with("apiVersion", known(&object.api_version))
        .with("kind", known(&object.kind))
        .with("namespace", object.namespace.clone())
        .with("name", object.name.as_str())
}

fn style(effect: Effect) -> Style {
    match effect {
        Effect::Create => shell::GOOD,
        Effect::Change => shell::NAME,
        Effect::Keep => shell::FAINT,
        Effect::Delete => shell::BAD,
    }
}

/// What is deployed, in words: a branch, what an earlier deployment had applied, or a commit. `commit` is as it is shown.
pub fn source(branch: Option<&RefName>, rollback: Option<&DeploymentId>, commit: &str) -> String {
    match (branch, rollback) {
        (Some(branch), _) => format!("'{}' ({commit})", branch.short()),
        (None, Some(of)) => format!("what {of} had applied ({commit})"),
        (None, None) => format!("commit {commit}"),
    }
}

/// The same behind the name of a deployment: ` of 'login'`, `, back to deployment-0001`, or nothing for a commit.
pub fn origin(branch: Option<&RefName>, rollback: Option<&DeploymentId>) -> String {
    match (branch, rollback) {
        (Some(branch), _) => format!(" of '{}'", branch.short()),
        (None, Some(of)) => format!(", back to {of}"),
        (None, None) => String::new(),
    }
}

/// What was skipped on the way to a deployment, and why.
pub fn skipped(skip: &Skip) -> String {
    format!("skipped {}: {}", skip.what.join(", "), skip.reason)
}

/// Prints each object and what becomes of it, and what is no longer wanted and stays for a while.
pub fn effects(plan: &Plan, shell: &mut Shell) {
    for planned in &plan.objects {
        let word = format!("{:<6}", planned.effect.as_str());
        shell.line(Text::from("  ").styled(style(planned.effect), word).plain(titled("  ", planned)));
    }
    for left in &plan.stays {
        let (word, text) = (format!("{:<6}", "stay"), format!("  {} ({})", left.object, left.why));
        shell.line(Text::from("  ").styled(shell::FAINT, word).plain(text));
    }
}

/// What is no longer wanted and stays all the same, for `--json`.
pub fn left(left: &Left) -> Object {
    Object::new()
        .with("object", name(&left.object))
        .with("why", left.why.as_str())
        .with_known("until", left.until.map(|until| until.to_string()))
}

fn titled(before: &str, planned: &PlannedObject) -> String {
    let validated = if planned.validated { "" } else { " (unvalidated)" };
    format!("{before}{}{validated}", planned.object)
}

/// Prints the differences of all objects that would not stay as they are, so that a program that shows differences in its
/// own way can read them.
pub fn diffs(plan: &Plan, shell: &mut Shell) {
    for planned in plan.objects.iter().filter(|planned| planned.effect != Effect::Keep) {
        let heading = titled(&format!("{} ", planned.effect.as_str()), planned);
        diff(&heading, planned.diff.as_deref().unwrap_or_default(), shell);
    }
}

/// Prints the names of all objects that would stay as they are.
pub fn kept(plan: &Plan, shell: &mut Shell) {
    for planned in plan.objects.iter().filter(|planned| planned.effect == Effect::Keep) {
        shell.line(Text::new().styled(shell::FAINT, titled("keep ", planned)));
    }
}

/// Prints one difference below a heading.
pub fn diff(heading: &str, diff: &str, shell: &mut Shell) {
    shell.line(Text::new().styled(HEADING, heading));
    for line in diff.lines() {
        shell.line(Text::new().styled(style_of(line), line));
    }
}

fn style_of(line: &str) -> Style {
    let begins = |words: &[&str]| words.iter().any(|word| line.starts_with(word));
    match () {
        () if begins(&["--- ", "+++ "]) => HEADING,
        () if begins(&["@@"]) => shell::NAME,
        () if begins(&["+"]) => shell::GOOD,
        () if begins(&["-"]) => shell::BAD,
        () => Style::new(),
    }
}

/// One object for `--json`.
pub fn object(planned: &PlannedObject) -> Object {
    Object::new()
        .with("effect", planned.effect.as_str())
        .with("object", name(&planned.object))
        .with("validated", planned.validated)
        .with("diff", planned.diff.as_deref())
}

/// An image for `--json`, from what notes and tags say of it: name, and digest where there is one.
pub fn image(pinned: &str) -> Object {
    let (name, digest) = match pinned.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (pinned, None),
    };
    Object::new().with("name", name).with("digest", digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::testing::Bench;

    fn plan() -> Plan {
        let planned = |effect, kind: &str, diff: Option<&str>| PlannedObject {
            effect,
            object: ObjectName {
                kind: kind.to_owned(),
                namespace: Some("shop".to_owned()),
                name: "web".to_owned(),
                api_version: "v1".to_owned(),
            },
            validated: effect != Effect::Create,
            diff: diff.map(str::to_owned),
        };
        let objects = vec![
            planned(Effect::Create, "Service", None),
            planned(Effect::Change, "Deployment", Some("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\u{1b}\n+b\n")),
            planned(Effect::Keep, "ConfigMap", None),
        ];
        let object = ObjectName { name: "old".to_owned(), ..objects[2].object.clone() };
        let stays = vec![Left { object, why: "kept for 7d".to_owned(), until: None }];
        Plan { objects, stays }
    }

    #[test]
    fn what_cannot_be_tried_yet_is_said_to_be_so() {
        let mut bench = Bench::piped();
        effects(&plan(), &mut bench.shell);
        let expected = "  create  Service 'shop/web' (unvalidated)\n  change  Deployment 'shop/web'\n  keep    ConfigMap 'shop/web'\n  stay    ConfigMap 'shop/old' (kept for 7d)\n";
        assert_eq!(bench.stdout(), expected);
    }

    #[test]
    fn differences_carry_no_control_characters_and_leave_out_what_stays() {
        let mut bench = Bench::piped();
        diffs(&plan(), &mut bench.shell);
        let expected = "create Service 'shop/web' (unvalidated)\nchange Deployment 'shop/web'\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\\u{1b}\n+b\n";
        assert_eq!(bench.stdout(), expected);
    }

    #[test]
    fn what_is_deployed_is_told_by_its_branch_else_by_where_it_comes_from() {
        let (branch, id) = (RefName::branch("login").unwrap(), "deployment-0001".parse().unwrap());
        assert_eq!(source(Some(&branch), Some(&id), "0123"), "'login' (0123)");
        assert_eq!(source(None, Some(&id), "0123"), "what deployment-0001 had applied (0123)");
        assert_eq!(source(None, None, "0123"), "commit 0123");
        assert_eq!(origin(Some(&branch), Some(&id)), " of 'login'");
        assert_eq!(origin(None, Some(&id)), ", back to deployment-0001");
        assert_eq!(origin(None, None), "");
    }

    #[test]
    fn an_object_has_one_form_for_programs() {
        let text = |name: &ObjectName| serde_json::to_string(&super::name(name)).unwrap();
        assert_eq!(
            text(&plan().objects[0].object),
            r#"{"apiVersion":"v1","kind":"Service","namespace":"shop","name":"web"}"#
        );
        assert_eq!(
            text(&ObjectName::of_file("README.md")),
            r#"{"apiVersion":null,"kind":null,"namespace":null,"name":"README.md"}"#
        );
    }
}
