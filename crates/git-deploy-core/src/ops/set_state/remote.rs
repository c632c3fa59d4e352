//! What the remote has to say before a decision, and what happened there when it was published.

use std::cell::RefCell;

use super::decided::Known;
use super::{DecidedThere, SetError, SetRequest};
use crate::branch::{Branch, Status};
use crate::config::Settings;
use crate::deployment::Phase;
use crate::git::push::Tracking;
use crate::git::{GitError, Repository};
use crate::ids::{DeploymentId, RefName};
use crate::ops::Observer;
use crate::ops::sync::{self, DifferingTag, How, Withdrawn};
use crate::ops::under_way::under_way;
use crate::ops::view::View;
use crate::state::State;

/// The remote that is to be asked before a decision: the one where it will be published, if that has one of the branches.
pub(super) fn asked(repository: &Repository, request: &SetRequest) -> Result<Option<Tracking>, SetError> {
    let settings = Settings::read(repository)?;
    let Some(tracking) = settings.remote.clone().filter(|_| settings.publish) else { return Ok(None) };
    for branch in &request.branches {
        if repository.tip(&settings.authority(branch))?.is_some() {
            return Ok(Some(tracking));
        }
    }
    Ok(None)
}

/// Asks the remote for its states first: what others decided meanwhile, or what this clone was never told, must not be taken
/// for nothing. Where it cannot be reached the decision is made all the same.
///
/// # Errors
/// When that brings commits that would be approved, or a decision that would be overridden: nobody here can have looked at them. A
/// withdrawal is of whatever is there.
pub(super) fn hear(
    repository: &Repository,
    tracking: &Tracking,
    request: &SetRequest,
    observer: &dyn Observer,
) -> Result<(), SetError> {
    let there = |name: &RefName| tracking.of(name).map_or(Ok(None), |name| repository.tip(&name));
    let tip = |name: &RefName| repository.tip(name)?.map_or_else(|| there(name), |tip| Ok(Some(tip)));
    let tips = || request.branches.iter().map(tip).collect::<Result<Vec<_>, GitError>>();
    let decisions = || -> Result<Vec<Known>, SetError> {
        let view = View::new(repository)?;
        request.branches.iter().map(|name| Known::of(&view, name)).collect()
    };
    // A withdrawal overrides whatever is there; where nothing but wishes may change, nothing is decided.
    let decides = request.state.is_rebased() && !request.stays;
    let seen = tips()?;
    let known = if decides { decisions()? } else { Vec::new() };
    let came = Came { observer, withdrawn: RefCell::default() };
    // That it cannot be reached is said when the state is published.
    drop(sync::fetch(repository, tracking, &came));
    let mut withdrawn = came.withdrawn.into_inner();
    let judge = || -> Result<(), SetError> {
        if !request.state.is_rebased() || holds(repository, request)? {
            return Ok(());
        }
        for ((branch, was), now) in request.branches.iter().zip(seen).zip(tips()?) {
            if let Some(now) = now.filter(|now| Some(*now) != was) {
                return Err(SetError::Unseen { branch: branch.clone(), was, now, to: request.state });
            }
        }
        if decides { refuse(request, (known, decisions()?), &withdrawn) } else { Ok(()) }
    };
    let judged = judge();
    if let Err(error) = &judged {
        let told = error.decided_there();
        withdrawn.retain(|came| {
            matches!(came.how, How::Gone { .. } | How::Broken(_)) || !told.contains(&&came.branch)
        });
    }
    if !withdrawn.is_empty() {
        observer.withdrawn(&withdrawn);
    }
    judged
}

/// Whether a request only holds back what is in the queue, which is of whatever is there, too: where approvals are signed it signs that.
fn holds(repository: &Repository, request: &SetRequest) -> Result<bool, SetError> {
    let holds = request.stays && matches!(request.wishes.hold, Some(Some(_)));
    Ok(holds && View::new(repository)?.rules()?.is_none())
}

/// Refuses to override what others have decided and nobody here was told: about the branches as they stand, or about what they
/// were earlier, which somebody has taken back.
fn refuse(
    request: &SetRequest,
    (known, now): (Vec<Known>, Vec<Known>),
    withdrawn: &[Withdrawn],
) -> Result<(), SetError> {
    let to = request.state;
    let taken = |branch: &RefName| {
        withdrawn.iter().filter(|came| came.branch == *branch).find_map(|came| match &came.how {
            How::Decided(decided) if decided.state.decision() > to.decision() => {
                Some(DecidedThere(decided.clone()))
            }
            How::Decided(_) | How::Gone { .. } | How::Broken(_) => None,
        })
    };
    let mut refused = Vec::new();
    for ((branch, known), now) in request.branches.iter().cloned().zip(known).zip(now) {
        if let Some(there) = known.overridden(&now, to).or_else(|| taken(&branch)) {
            refused.push(SetError::DecidedThere { branch, to, there: Box::new(there) });
        }
    }
    SetError::all_of(refused)
}

/// Keeps what others have taken back until it is known which of that the command refuses to override: that says it then.
struct Came<'o> {
    observer: &'o dyn Observer,
    withdrawn: RefCell<Vec<Withdrawn>>,
}

impl Observer for Came<'_> {
    fn step(&self, verb: &str, text: &str) {
        self.observer.step(verb, text);
    }

    fn warn(&self, text: &str) {
        self.observer.warn(text);
    }

    fn note(&self, text: &str) {
        self.observer.note(text);
    }

    fn tag_differs(&self, tag: &DifferingTag) {
        self.observer.tag_differs(tag);
    }

    fn withdrawn(&self, withdrawn: &[Withdrawn]) {
        self.withdrawn.borrow_mut().extend_from_slice(withdrawn);
    }
}

/// The deployments for which a withdrawal came too late, by what is known when it has come to the remote. (A push that had to
/// be repeated has fetched what happened meanwhile.)
pub(super) fn begun_meanwhile(
    repository: &Repository,
    moved: &[(Branch, State)],
) -> Result<Vec<(RefName, DeploymentId)>, SetError> {
    let queued = moved.iter().filter(|(_, from)| *from == State::Deployable);
    let names: Vec<&RefName> = queued.map(|(branch, _)| &branch.name).collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let view = View::new(repository)?;
    // What cannot be read about that is told by whoever looks at the queue.
    let begun = under_way(&view).into_iter().flatten().filter(|attempt| attempt.phase > Phase::Claimed);
    let begun = begun.filter_map(|attempt| Some((attempt.branch?, attempt.id)));
    let mut late: Vec<_> = begun.filter(|(branch, _)| names.contains(&branch)).collect();
    for name in names {
        let status = view.authority_branch(name)?.map(|branch| branch.status);
        if let Some(Status::Deployed { deployment }) = status {
            late.push((name.clone(), deployment));
        }
    }
    Ok(late)
}
