//! The order in which deployable branches are deployed.
//!
//! A pure function of what every clone knows, so that all of them see the same queue. What one of them cannot find out of the
//! branch that would be next, whether anything is left of it to deploy, others may: its deployment does in any case.

use std::collections::{HashMap, HashSet};
use std::fmt;

use jiff::Timestamp;

use crate::approval::NotApproved;
use crate::branch::{Branch, Status};
use crate::ids::{CommitId, DeploymentId, EnvironmentName, RefName};
use crate::note::Note;
use crate::revert::TakenBack;
use crate::state::State;

/// One place in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The branch.
    pub branch: RefName,
    /// Its tip, which is what was approved.
    pub tip: CommitId,
    /// What it was before its first rebase, which no rebase changes.
    pub line: CommitId,
    /// Since when it is deployable; none if the note does not say.
    pub since: Option<Timestamp>,
    /// Who made it deployable; none if the note does not say.
    pub by: Option<String>,
    /// Larger numbers come first.
    pub priority: i64,
    /// Why it does not move.
    pub waits: Option<Wait>,
    /// The short names of all branches that have to be deployed before and come by themselves.
    pub after: Vec<String>,
}

/// Why a queued branch does not move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// Somebody holds it.
    Held(String),
    /// Nobody who may has approved it.
    Unapproved(NotApproved),
    /// It was deployed to an environment before the one that lands, and somebody went back from it there.
    RolledBack {
        /// Where.
        environment: EnvironmentName,
        /// The deployment that went back.
        by: DeploymentId,
    },
    /// Base, which this is, has all that it brings, as other commits: there is nothing to deploy.
    Empty(RefName),
    /// The same, but that base has taken it back since.
    TakenBack(TakenBack),
    /// Another branch has to be deployed before.
    After(String),
    /// The same, and that does not come by itself.
    Stuck {
        /// The other branch.
        after: String,
        /// Why it is not deployed.
        why: Stuck,
    },
    /// Another one is before it.
    Behind(RefName),
}

/// Why a branch that another one waits for is not deployed until somebody sees to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stuck {
    /// It is not in the queue, but in this state.
    NotQueued(State),
    /// Each of these waits for the next one, and the last one for the branch that waits for the first.
    Circle(Vec<String>),
}

impl Wait {
    /// The short name of the branch that has to be deployed before, if it comes by itself.
    fn comes_after(&self) -> Option<&str> {
        if let Self::After(name) = self { Some(name) } else { None }
    }
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotQueued(state) => write!(f, "that is {state}, not queued"),
            Self::Circle(circle) => {
                f.write_str("that waits for ")?;
                circle.iter().skip(1).try_for_each(|next| write!(f, "'{next}', that for "))?;
                f.write_str("this one")
            }
        }
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held(why) => write!(f, "held: {why}"),
            Self::Unapproved(why) => write!(f, "not approved: {why}"),
            Self::RolledBack { environment, by } => write!(f, "was rolled back in '{environment}' by {by}"),
            Self::Empty(base) => write!(f, "brings nothing that '{}' has not", base.short()),
            Self::TakenBack(taken) => {
                let partly = if taken.is_whole { "" } else { "partly " };
                write!(f, "was {partly}taken back on '{}' by {}", taken.base.short(), taken.reverts())
            }
            Self::After(name) => write!(f, "waits until '{name}' is deployed"),
            Self::Stuck { after, why } => write!(f, "waits until '{after}' is deployed: {why}"),
            Self::Behind(first) => write!(f, "behind '{}'", first.short()),
        }
    }
}

/// What has to be asked about branches besides what their notes say.
pub trait Judge {
    /// Why it cannot be answered.
    type Error;

    /// Whether base has what a branch brings by other means than a deployment. Asked of a branch that another one waits for.
    ///
    /// # Errors
    /// When that could not be found out.
    fn has_landed(&mut self, branch: &Branch) -> Result<bool, Self::Error>;

    /// Why a branch cannot be taken that waits for nothing else. It is asked in the order of the queue, and told whether the
    /// branch would be deployed next.
    ///
    /// # Errors
    /// When that could not be found out.
    fn waits(&mut self, branch: &Branch, is_next: bool) -> Result<Option<Wait>, Self::Error>;
}

/// Puts the deployable ones among the branches into order: by priority, then since when, then by the commit that was approved.
///
/// The caller passes the authority refs without base, symbolic refs and the branches of `rendered` environments.
///
/// # Errors
/// Those of the judge.
pub fn order<J: Judge>(branches: &[Branch], judge: &mut J) -> Result<Vec<Place>, J::Error> {
    let mut queued: Vec<(Place, &Branch)> =
        branches.iter().filter_map(|branch| Some((place(branch)?, branch))).collect();
    queued.sort_by(|(one, _), (other, _)| turn(one).cmp(&turn(other)));
    let by_name: HashMap<&str, &Branch> =
        branches.iter().map(|branch| (branch.name.short(), branch)).collect();
    let mut places = Vec::with_capacity(queued.len());
    let mut head: Option<RefName> = None;
    for (mut place, branch) in queued {
        let waits = own_waits(branch, |name| by_name.get(name).copied(), judge)?;
        place.after = waits.iter().filter_map(Wait::comes_after).map(str::to_owned).collect();
        place.waits = waits.into_iter().next();
        if place.waits.is_none() {
            place.waits = judge.waits(branch, head.is_none())?;
        }
        if place.waits.is_none() {
            match &head {
                Some(first) => place.waits = Some(Wait::Behind(first.clone())),
                None => head = Some(place.branch.clone()),
            }
        }
        places.push(place);
    }
    Ok(places)
}

/// All that the note of a queued branch has it wait for, the weightiest first. `find` finds the branches that count by their
/// short names.
///
/// # Errors
/// Those of the judge.
pub fn own_waits<'b, J: Judge>(
    branch: &Branch,
    find: impl Fn(&str) -> Option<&'b Branch>,
    judge: &mut J,
) -> Result<Vec<Wait>, J::Error> {
    let Some(note) = &branch.note else { return Ok(Vec::new()) };
    let mut waits: Vec<Wait> = note.hold.clone().map(Wait::Held).into_iter().collect();
    let mut others = Vec::new();
    for other in awaited(branch, &find, judge)? {
        let after = other.name.short().to_owned();
        others.push(match stuck(branch, other, &find, judge)? {
            Some(why) => Wait::Stuck { after, why },
            None => Wait::After(after),
        });
    }
    // What comes by itself needs nobody.
    others.sort_by_key(|wait| matches!(wait, Wait::After(_)));
    waits.append(&mut others);
    Ok(waits)
}

/// The branches that one comes after, as long as they are there and not deployed.
fn awaited<'b, J: Judge>(
    branch: &Branch,
    find: &impl Fn(&str) -> Option<&'b Branch>,
    judge: &mut J,
) -> Result<Vec<&'b Branch>, J::Error> {
    let mut awaited = Vec::new();
    for other in branch.note.iter().flat_map(Note::awaited).filter_map(find) {
        if !matches!(other.status, Status::Deployed { .. }) && !judge.has_landed(other)? {
            awaited.push(other);
        }
    }
    Ok(awaited)
}

/// Why the branch that one comes after is not deployed by itself, if it is so. Whoever decides sees no circle that two make who
/// have not seen each other.
fn stuck<'b, J: Judge>(
    branch: &Branch,
    other: &'b Branch,
    find: &impl Fn(&str) -> Option<&'b Branch>,
    judge: &mut J,
) -> Result<Option<Stuck>, J::Error> {
    let is_queued = |other: &Branch| other.state() == State::Deployable;
    // Its landing is under way, or was interrupted: a run ends that.
    if other.note.as_ref().is_some_and(|note| note.state == State::Deployed) {
        return Ok(None);
    }
    if !is_queued(other) {
        return Ok(Some(Stuck::NotQueued(other.state())));
    }
    let (mut lines, mut known) = (vec![vec![other]], HashSet::from([&other.name]));
    while let Some(line) = lines.pop() {
        let next = line.last().map_or(Ok(Vec::new()), |last| awaited(last, find, judge))?;
        for next in next {
            if next.name == branch.name {
                let names = line.iter().map(|branch| branch.name.short().to_owned());
                return Ok(Some(Stuck::Circle(names.collect())));
            }
            // What keeps another one that this one waits for is told of that.
            if is_queued(next) && known.insert(&next.name) {
                lines.push(line.iter().copied().chain([next]).collect());
            }
        }
    }
    Ok(None)
}

/// What the order goes by.
fn turn(place: &Place) -> impl Ord + '_ {
    // A note without a date says nothing of its turn: it comes after those that do.
    let since = place.since.unwrap_or(Timestamp::MAX);
    // By what a rebase leaves as it is: else each landing would deal the places of those anew that were set at once.
    (std::cmp::Reverse(place.priority), since, place.line, &place.branch)
}

/// The order in which places are taken, as far as that can be told, as their indices: those of which `is_open` says that they
/// wait for nothing but others. Whoever comes after another branch is taken when that has `landed`, and then in the order of the
/// queue.
pub fn turns<'p>(
    places: &'p [Place],
    mut landed: HashSet<&'p str>,
    is_open: impl Fn(&Place) -> bool,
) -> Vec<usize> {
    let mut left: Vec<usize> = (0..places.len()).filter(|index| is_open(&places[*index])).collect();
    let mut turns = Vec::with_capacity(left.len());
    let comes = |place: &Place, landed: &HashSet<&str>| {
        let mut after = place.after.iter().map(String::as_str);
        after.all(|name| landed.contains(name))
    };
    while let Some(next) = left.iter().position(|index| comes(&places[*index], &landed)) {
        let index = left.remove(next);
        landed.insert(places[index].branch.short());
        turns.push(index);
    }
    turns
}

/// Whether a place waits for nothing but others.
pub fn waits_for_others(place: &Place) -> bool {
    matches!(place.waits, None | Some(Wait::After(_) | Wait::Behind(_)))
}

/// Those that are taken before a place, in their order. Where it waits for something else besides they are those that would be
/// if that were over.
pub fn before(places: &[Place], index: usize) -> Vec<usize> {
    let name = &places[index].branch;
    let is_open = |place: &Place| place.branch == *name || waits_for_others(place);
    let turns = turns(places, HashSet::new(), is_open);
    match turns.iter().position(|turn| *turn == index) {
        Some(turn) => turns[..turn].to_vec(),
        // It waits for one that is never taken: all others are.
        None => turns,
    }
}

/// The place that is deployed next.
pub fn head(places: &[Place]) -> Option<&Place> {
    places.iter().find(|place| place.waits.is_none())
}

fn place(branch: &Branch) -> Option<Place> {
    let Status::Deployable = branch.status else { return None };
    let note = branch.note.as_ref()?;
    Some(Place {
        branch: branch.name.clone(),
        tip: branch.tip,
        line: note.line(branch.tip),
        since: note.since,
        by: note.by.clone(),
        priority: note.priority.unwrap_or(0),
        waits: None,
        after: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::branch::OnBase;

    fn branch(name: &str, tip: char, keys: &str) -> Branch {
        let tip = tip.to_string().repeat(40).parse().unwrap();
        let note = Note::parse(format!("state: deployable\n{keys}").as_bytes()).unwrap();
        Branch::derive(RefName::branch(name).unwrap(), tip, Some(note), false, OnBase::No)
    }

    /// Says what it was made to say, and remembers what it was asked.
    #[derive(Default)]
    struct Judged {
        landed: &'static str,
        unapproved: &'static str,
        asked: Vec<(String, bool)>,
    }

    impl Judge for Judged {
        type Error = std::convert::Infallible;

        fn has_landed(&mut self, branch: &Branch) -> Result<bool, Self::Error> {
            Ok(branch.name.short() == self.landed)
        }

        fn waits(&mut self, branch: &Branch, is_next: bool) -> Result<Option<Wait>, Self::Error> {
            let name = branch.name.short();
            self.asked.push((name.to_owned(), is_next));
            Ok((name == self.unapproved).then_some(Wait::Unapproved(NotApproved::Unsigned)))
        }
    }

    fn order(branches: &[Branch]) -> Vec<Place> {
        let Ok(places) = super::order(branches, &mut Judged::default());
        places
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
    fn a_branch_does_not_wait_for_one_that_base_has_already() {
        let branches = [branch("web", '1', "after: api"), branch("api", '2', "")];
        assert_eq!(order(&branches)[0].waits, Some(Wait::After("api".into())));
        let Ok(places) = super::order(&branches, &mut Judged { landed: "api", ..Judged::default() });
        assert_eq!(places[0].waits, None);
    }

    #[test]
    fn whoever_comes_after_a_branch_that_is_not_queued_is_told_so() {
        for status in [Status::Development, Status::Staged, Status::Broken { paths: Vec::new() }] {
            let mut api = branch("api", '2', "");
            api.status = status;
            let state = api.state();
            let places = order(&[branch("web", '1', "after: api"), api]);
            let why = Stuck::NotQueued(state);
            assert_eq!(places[0].waits, Some(Wait::Stuck { after: "api".into(), why }));
            assert!(!waits_for_others(&places[0]));
        }
    }

    #[test]
    fn those_that_wait_for_each_other_are_told_so_and_let_the_others_pass() {
        let branches = [
            branch("a", '1', "after: b"),
            branch("b", '2', "after: c"),
            branch("c", '3', "after: a"),
            branch("beside", '4', "after: a"),
            branch("itself", '5', "after: itself"),
            branch("z", '6', ""),
        ];
        let places = order(&branches);
        let waits = |name: &str| {
            let place = places.iter().find(|place| place.branch.short() == name).unwrap();
            place.waits.as_ref().map(ToString::to_string)
        };
        let told = "waits until 'b' is deployed: that waits for 'c', that for this one";
        assert_eq!(waits("a").as_deref(), Some(told));
        assert_eq!(waits("c").unwrap(), "waits until 'a' is deployed: that waits for 'b', that for this one");
        assert_eq!(waits("beside").unwrap(), "waits until 'a' is deployed");
        assert_eq!(waits("itself").unwrap(), "waits until 'itself' is deployed: that waits for this one");
        assert_eq!(head(&places).unwrap().branch.short(), "z");
        // One that has landed ends it.
        let Ok(places) = super::order(&branches, &mut Judged { landed: "c", ..Judged::default() });
        assert_eq!(head(&places).unwrap().branch.short(), "b");
    }

    #[test]
    fn all_that_a_branch_waits_for_is_told_the_weightiest_first() {
        let (web, api) = (branch("web", '1', "after: api\nhold: sale"), branch("api", '2', ""));
        let Ok(waits) = own_waits(&web, |_| Some(&api), &mut Judged::default());
        assert_eq!(waits, [Wait::Held("sale".into()), Wait::After("api".into())]);
        assert_eq!(order(&[web, api])[0].waits.as_ref(), waits.first());
    }

    #[test]
    fn who_waits_for_another_one_is_before_nobody_who_is_taken_earlier() {
        let branches = [
            branch("web", '1', "priority: 9\nafter: api"),
            branch("api", '2', "priority: 1"),
            branch("late", '3', ""),
            branch("idle", '4', "priority: -1\nafter: gone"),
            branch("gone", '5', "hold: sale"),
        ];
        let places = order(&branches);
        let names = |name: &str| -> Vec<&str> {
            let index = places.iter().position(|place| place.branch.short() == name).unwrap();
            before(&places, index).into_iter().map(|index| places[index].branch.short()).collect()
        };
        assert_eq!((names("api"), names("web")), (vec![], vec!["api"]));
        assert_eq!(names("late"), ["api", "web"]);
        assert_eq!(names("gone"), ["api", "web", "late"]);
        assert_eq!(names("idle"), ["api", "web", "late"]);
    }

    #[test]
    fn who_waits_for_several_is_taken_after_the_last_of_them_also_where_something_else_holds_it() {
        for more in ["", "\nhold: sale"] {
            let branches = [
                branch("web", '1', &format!("priority: 5\nafter: api db{more}")),
                branch("api", '2', "priority: 9"),
                branch("late", '3', "priority: 1"),
                branch("db", '4', ""),
            ];
            let places = order(&branches);
            let index = places.iter().position(|place| place.branch.short() == "web").unwrap();
            let names = before(&places, index).into_iter().map(|index| places[index].branch.short());
            assert_eq!(names.collect::<Vec<_>>(), ["api", "late", "db"], "{more}");
        }
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
        let mut judge = Judged { unapproved: "a", ..Judged::default() };
        let Ok(places) = super::order(&branches, &mut judge);
        assert_eq!(head(&places).unwrap().branch.short(), "b");
        assert_eq!(places[0].waits, Some(Wait::Unapproved(NotApproved::Unsigned)));
        assert_eq!(judge.asked, [("a".into(), true), ("b".into(), true), ("c".into(), false)]);
    }
}
