//! What becomes of objects, as every command shows it.

use anstyle::Style;
use git_deploy_core::environment::{Effect, Plan, PlannedObject};
use git_deploy_core::ids::{DeploymentId, RefName};

use crate::shell::{self, Object, Shell, Text};

/// The lines between the hunks of a difference.
const HEADING: Style = Style::new().bold();

/// An object's name in one word, for programs: `Deployment/shop/web`.
///
/// ```
/// assert_eq!(git_deploy_cli::plan::name("Deployment 'shop/web'"), "Deployment/shop/web");
/// ```
pub fn name(title: &str) -> String {
    match title.split_once(" '").and_then(|(kind, rest)| Some((kind, rest.strip_suffix('\'')?))) {
        Some((kind, name)) => format!("{kind}/{name}"),
        None => title.to_owned(),
    }
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

/// Prints each object and what becomes of it.
pub fn effects(plan: &Plan, shell: &mut Shell) {
    for planned in &plan.objects {
        let word = format!("{:<6}", planned.effect.as_str());
        shell.line(Text::from("  ").styled(style(planned.effect), word).plain(titled("  ", planned)));
    }
}

fn titled(before: &str, planned: &PlannedObject) -> String {
    let validated = if planned.validated { "" } else { " (unvalidated)" };
    format!("{before}{}{validated}", planned.title)
}

/// Prints the differences of all objects that would not stay as they are, so that a program that shows differences in its
/// own way can read them.
pub fn diffs(plan: &Plan, shell: &mut Shell) {
    for planned in plan.objects.iter().filter(|planned| planned.effect != Effect::Keep) {
        shell.line(Text::new().styled(HEADING, titled(&format!("{} ", planned.effect.as_str()), planned)));
        for line in planned.diff.as_deref().unwrap_or_default().lines() {
            shell.line(Text::new().styled(style_of(line), line));
        }
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
        .with("object", planned.title.as_str())
        .with("validated", planned.validated)
        .with("diff", planned.diff.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::testing::Bench;

    fn plan() -> Plan {
        let planned = |effect, title: &str, diff: Option<&str>| PlannedObject {
            effect,
            title: title.to_owned(),
            validated: effect != Effect::Create,
            diff: diff.map(str::to_owned),
        };
        let objects = vec![
            planned(Effect::Create, "Service 'shop/web'", None),
            planned(
                Effect::Change,
                "Deployment 'shop/web'",
                Some("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\u{1b}\n+b\n"),
            ),
            planned(Effect::Keep, "ConfigMap 'shop/web'", None),
        ];
        Plan { objects }
    }

    #[test]
    fn what_cannot_be_tried_yet_is_said_to_be_so() {
        let mut bench = Bench::piped();
        effects(&plan(), &mut bench.shell);
        let expected = "  create  Service 'shop/web' (unvalidated)\n  change  Deployment 'shop/web'\n  keep    ConfigMap 'shop/web'\n";
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
    fn a_name_that_is_no_title_stays() {
        assert_eq!(name("service_web.yaml"), "service_web.yaml");
        assert_eq!(name("Service 'web'"), "Service/web");
    }
}
