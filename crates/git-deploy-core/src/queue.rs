//! The order in which deployable branches are deployed.
//!
//! A pure function of what every clone knows, so that all of them see the same queue.

use jiff::Timestamp;

use crate::approval::NotApproved;
use crate::branch::{Branch, Status};
use crate::ids::{CommitId, RefName};

/// One place in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The branch.
    pub branch: RefName,
    /// Its tip, which is what was approved.
    pub tip: CommitId,
    /// Since when it is deployable; none if the note does not say.
    pub since: Option<Timestamp>,
    /// Who made it deployable; none if the note does not say.
    pub by: Option<String>,
    /// Larger numbers come first.
    pub priority: i64,
    /// Why it does not move.
    pub waits: Option<Wait>,
}

/// Why a queued branch does not move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// Somebody holds it.
    Held(String),
    /// Nobody who may has approved it.
    Unapproved(NotApproved),
    /// It has nothing that this branch, which is base, has not: it was merged by other means.
    Landed(RefName),
    /// Another branch has to be deployed before.
    After(String),
    /// Another one is before it.
    Behind(RefName),
}

/// Puts the deployable ones among the branches into order: by priority, then since when, then by commit.
///
/// The caller passes the authority refs without base, symbolic refs and the branches of `rendered` environments.
pub fn order(branches: &[Branch]) -> Vec<Place> {
    let Ok(places) = order_judged(branches, |_, _| Ok::<_, std::convert::Infallible>(None));
    places
}

/// The same where more has to hold, such as an approval. `judge` says why a branch cannot be taken that waits for nothing else,
/// and is told whether it would be deployed next; it is asked in the order of the queue.
///
/// # Errors
/// When that could not be found out.
pub fn order_judged<E>(
    branches: &[Branch],
    mut judge: impl FnMut(&Branch, bool) -> Result<Option<Wait>, E>,
) -> Result<Vec<Place>, E> {
    let mut places: Vec<Place> = branches.iter().filter_map(|branch| place(branch, branches)).collect();
    places.sort_by_key(|place| {
        // A note without a date says nothing of its turn: it comes after those that do.
        let since = place.since.unwrap_or(Timestamp::MAX);
        (std::cmp::Reverse(place.priority), since, place.tip, place.branch.clone())
    });
    let mut head: Option<RefName> = None;
    for place in &mut places {
        if place.waits.is_none()
            && let Some(branch) = branches.iter().find(|branch| branch.name == place.branch)
        {
            place.waits = judge(branch, head.is_none())?;
        }
        if place.waits.is_none() {
            match &head {
                Some(first) => place.waits = Some(Wait::Behind(first.clone())),
                None => head = Some(place.branch.clone()),
            }
        }
    }
    Ok(places)
}

/// The place that is deployed next.
pub fn head(places: &[Place]) -> Option<&Place> {
    places.iter().find(|place| place.waits.is_none())
}

fn place(branch: &Branch, all: &[Branch]) -> Option<Place> {
    let Status::Deployable = branch.status else { return None };
    let note = branch.note.as_ref()?;
    let held = note.hold.clone().map(Wait::Held);
    let pending = |name: &str| {
        all.iter().any(|other| other.name.short() == name && !matches!(other.status, Status::Deployed { .. }))
    };
    let after = note.after.clone().filter(|name| pending(name)).map(Wait::After);
    Some(Place {
        branch: branch.name.clone(),
        tip: branch.tip,
        since: note.since,
        by: note.by.clone(),
        priority: note.priority.unwrap_or(0),
        waits: held.or(after),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::Note;

    fn branch(name: &str, tip: char, keys: &str) -> Branch {
        let tip = tip.to_string().repeat(40).parse().unwrap();
        let note = Note::parse(format!("state: deployable\n{keys}").as_bytes()).unwrap();
        Branch::derive(RefName::branch(name).unwrap(), tip, Some(note), false, None)
    }

    fn names(branches: &[Branch]) -> Vec<String> {
        order(branches).iter().map(|place| place.branch.short().to_owned()).collect()
    }

    #[test]
    fn priority_comes_before_time_and_time_before_commit() {
        let branches = [
            branch("late", '1', "since: 2026-11-20T12:00:09Z"),
            branch("b", '3', "since: 2026-11-20T12:00:00Z"),
            branch("a", '4', "since: 2026-11-20T12:00:00Z"),
            branch("undated", '0', ""),
            branch("urgent", '5', "since: 2026-11-20T13:00:00Z\npriority: 1"),
            branch("someday", '6', "since: 2026-11-20T11:00:00Z\npriority: -1"),
        ];
        assert_eq!(names(&branches), ["urgent", "b", "a", "late", "undated", "someday"]);
    }

    #[test]
    fn only_deployable_branches_are_queued() {
        let mut staged = branch("staged", '1', "");
        staged.status = Status::Staged;
        assert_eq!(names(&[staged, branch("a", '2', "")]), ["a"]);
    }

    #[test]
    fn a_branch_waits_for_the_one_it_comes_after_as_long_as_that_is_there() {
        let (web, api) = (branch("web", '1', "after: api"), branch("api", '2', ""));
        assert_eq!(head(&order(&[web.clone(), api])).unwrap().branch.short(), "api");
        assert_eq!(head(&order(&[web])).unwrap().branch.short(), "web");
    }

    #[test]
    fn a_held_branch_lets_the_next_one_pass() {
        let branches =
            [branch("held", '1', "priority: 9\nhold: holiday"), branch("a", '2', ""), branch("b", '3', "")];
        let places = order(&branches);
        assert_eq!(head(&places).unwrap().branch.short(), "a");
        assert_eq!(places[0].waits, Some(Wait::Held("holiday".into())));
        assert_eq!(places[2].waits, Some(Wait::Behind(RefName::branch("a").unwrap())));
    }

    #[test]
    fn a_branch_that_is_not_approved_lets_the_next_one_pass_and_those_behind_are_not_asked_closely() {
        let branches = ["a", "b", "c"].map(|name| branch(name, '1', ""));
        let mut asked = Vec::new();
        let places = order_judged(&branches, |branch, is_next| {
            asked.push((branch.name.short().to_owned(), is_next));
            Ok::<_, ()>((branch.name.short() == "a").then_some(Wait::Unapproved(NotApproved::Unsigned)))
        });
        let places = places.unwrap();
        assert_eq!(head(&places).unwrap().branch.short(), "b");
        assert_eq!(places[0].waits, Some(Wait::Unapproved(NotApproved::Unsigned)));
        assert_eq!(asked, [("a".into(), true), ("b".into(), true), ("c".into(), false)]);
    }
}
