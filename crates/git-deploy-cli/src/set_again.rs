//! How somebody decides once more: with all that was asked for, or wished, before.

use std::collections::BTreeMap;

use git_deploy_core::ids::RefName;
use git_deploy_core::ops::set_state::{SetError, SetRequest, Wished, Wishes};
use git_deploy_core::rebase::Skip;
use git_deploy_core::record::one_line;
use git_deploy_core::state::State;

use crate::advice::typed;
use crate::shell_word;

/// The command that asks for the same once more.
pub fn set_again(request: &SetRequest) -> String {
    let SetRequest { state, branches, message, wishes: Wishes { priority, after, hold }, stays } = request;
    let branches = branches.iter().map(typed);
    let words: Vec<String> = match hold {
        Some(Some(why)) if *stays => vec![format!("hold --reason={}", shell_word(&one_line(why)))],
        Some(None) if *stays => vec!["release".to_owned()],
        _ => {
            let priority = priority.map(|priority| format!("--priority={priority}"));
            let after = after
                .as_ref()
                .map(|after| format!("--after={}", after.as_ref().map(typed).unwrap_or_default()));
            let message = message.as_ref().map(|message| match message.is_empty() {
                true => "--message=".to_owned(),
                false => format!("--message={}", shell_word(&one_line(message))),
            });
            let hold = hold.as_ref().map(|why| {
                let why = why.as_ref().map(|why| shell_word(&one_line(why)));
                format!("--hold={}", why.unwrap_or_default())
            });
            let set = format!("git deploy-state set {state}");
            return [Some(set), priority, after, hold, message]
                .into_iter()
                .flatten()
                .chain(branches)
                .collect::<Vec<_>>()
                .join(" ");
        }
    };
    ["git deploy-queue".to_owned()].into_iter().chain(words).chain(branches).collect::<Vec<_>>().join(" ")
}

/// What to do, after all else, where a request was refused that can be made once more. `wished` is what was wished for branches that
/// become other commits before: there a decision keeps what it does not say no more.
pub fn say_again(error: &SetError, request: &SetRequest, wished: &BTreeMap<RefName, Wished>) -> Vec<String> {
    let again = set_again(request);
    let hint = match error {
        SetError::DecidedThere { to, .. } => {
            format!("if it is to be {to} all the same, set it again: {again}")
        }
        SetError::MayNotApprove { .. } => {
            format!("who may is listed in [approve] of base's deploy.toml; one of them sets it: {again}")
        }
        SetError::Unseen { .. } => format!("then: {again}"),
        SetError::Several(errors)
            if errors.iter().all(|error| matches!(error, SetError::DecidedThere { .. })) =>
        {
            let to = request.state;
            format!("if they are to be {to} all the same, set them again: {again}")
        }
        error if !error.held_there().is_empty() => {
            let held = |(branch, wished): (&RefName, &Wished)| (branch.clone(), wished.clone());
            let when = format!("if it is to be {} all the same", request.state);
            let wished: BTreeMap<RefName, Wished> = error.held_there().into_iter().map(held).collect();
            let (branches, wishes) = (wished.keys().cloned().collect(), request.wishes.clone());
            let wishes = Wishes { hold: Some(None), ..wishes };
            let goes_on = SetRequest { branches, wishes, ..request.clone() };
            let mut hints = say_each_again(&when, request, &wished);
            hints.extend(say_each_again("if it need not wait any more", &goes_on, &wished));
            return hints;
        }
        error if !is_mended_by_hand(error) => return Vec::new(),
        _ if !wished.is_empty() => return say_each_again("then", request, wished),
        _ => format!("then: {again}"),
    };
    vec![hint]
}

/// The same for each branch of a request: what was wished for one is no wish for the others.
fn say_each_again(when: &str, request: &SetRequest, wished: &BTreeMap<RefName, Wished>) -> Vec<String> {
    let said = |branch: &RefName| {
        let one = SetRequest { branches: vec![branch.clone()], ..request.clone() };
        let wished = wished.get(branch).cloned().unwrap_or_default();
        again_as_wished(when, one, &wished)
    };
    request.branches.iter().flat_map(said).collect()
}

/// Whether all of a request can be made once more when somebody has done what the refusal says.
fn is_mended_by_hand(error: &SetError) -> bool {
    match error {
        SetError::Conflicts { .. } => true,
        SetError::NotRebased { why, .. } => matches!(why, Skip::Merges(_) | Skip::Unrelated(_)),
        SetError::Several(errors) => errors.iter().all(is_mended_by_hand),
        _ => false,
    }
}

/// How a branch that has left a commit is set to what it was there, `when` it is to be: with what was wished for it, all by one
/// decision. Between two it would be in the queue without the hold.
pub fn wish_again(when: &str, branch: &RefName, state: State, wished: &Wished) -> Vec<String> {
    let (branches, wishes) = (vec![branch.clone()], Wishes::default());
    again_as_wished(when, SetRequest { state, branches, message: None, wishes, stays: false }, wished)
}

/// How a request is made once more, with what was wished before where it says nothing of that.
fn again_as_wished(when: &str, request: SetRequest, wished: &Wished) -> Vec<String> {
    let Wishes { priority, after, hold } = request.wishes;
    let as_before = if hold.is_none() && wished.hold.is_some() { ", on hold as before" } else { "" };
    let others: Vec<String> = match &after {
        Some(_) => Vec::new(),
        None => wished.after.iter().skip(1).map(|name| format!("'{}'", name.short())).collect(),
    };
    let wishes = Wishes {
        priority: priority.or(wished.priority),
        after: after.or_else(|| wished.after.first().cloned().map(Some)),
        hold: hold.or_else(|| wished.hold.clone().map(Some)),
    };
    let mut hints = vec![format!("{when}{as_before}: {}", set_again(&SetRequest { wishes, ..request }))];
    if !others.is_empty() {
        hints.push(format!("it was to wait for {}, too: only one branch can be named", others.join(", ")));
    }
    hints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn branch(name: &str) -> RefName {
        RefName::branch(name).unwrap()
    }

    #[test]
    fn a_request_is_made_once_more_as_it_was() {
        let request = SetRequest {
            state: State::Deployable,
            branches: vec![branch("login"), branch("a;b")],
            message: Some("it's\nready".to_owned()),
            wishes: Wishes { priority: Some(-5), after: Some(Some(branch("x"))), hold: None },
            stays: false,
        };
        assert_eq!(
            set_again(&request),
            r"git deploy-state set deployable --priority=-5 --after=x --message='it'\''s ready' login 'a;b'"
        );
        let taken = Wishes { after: Some(None), ..Wishes::default() };
        let request = SetRequest { message: Some(String::new()), wishes: taken, ..request };
        assert_eq!(set_again(&request), "git deploy-state set deployable --after= --message= login 'a;b'");
        let goes_on = Wishes { hold: Some(None), ..Wishes::default() };
        let request = SetRequest { message: None, wishes: goes_on, ..request };
        assert_eq!(set_again(&request), "git deploy-state set deployable --hold= login 'a;b'");
        let held = Wishes { hold: Some(Some("a sale".to_owned())), ..Wishes::default() };
        let request = SetRequest { wishes: held, stays: true, ..request };
        assert_eq!(set_again(&request), "git deploy-queue hold --reason='a sale' login 'a;b'");
    }

    #[test]
    fn what_was_wished_is_wished_again() {
        let wished = Wished {
            priority: Some(5),
            after: vec![branch("x"), branch("y")],
            hold: Some("sale".to_owned()),
        };
        let hints = |state| wish_again("when it is ready", &branch("login"), state, &wished);
        let wait = "it was to wait for 'y', too: only one branch can be named";
        assert_eq!(
            hints(State::Deployable),
            [
                "when it is ready, on hold as before: git deploy-state set deployable --priority=5 --after=x --hold=sale login",
                wait
            ]
        );
    }
}
