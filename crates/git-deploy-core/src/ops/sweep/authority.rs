//! The runner's sweep: the branches that count are brought onto base after it has moved.
//!
//! Only a runner rewrites branches of the remote, and only by exact leases: notes and branches go there in one atomic
//! push, and local branches that stand at an old tip follow. Without a remote the branches that count are our own, and
//! this is the same sweep as anybody's.

use super::plan::{NoteChange, Plan, Subject};
use super::{Judge, Outcome, Sweep, SweepError, SweepRequest, notes, sweep};
use crate::config::PushRebased;
use crate::git::Repository;
use crate::git::notes::Notes;
use crate::ids::RefName;
use crate::land::Change;
use crate::ops::approve::kept;
use crate::ops::sync::{self, SyncError};
use crate::ops::transact::{Transacted, Transactor};
use crate::ops::view::View;
use crate::ops::{Interrupt, Observer};

/// How often the branches are judged anew because some moved meanwhile.
const TRIES: u32 = 3;

/// Rebases all staged and deployable branches that count, and judges broken ones again.
///
/// # Errors
/// When nothing could be judged, or the remote did not take it: then nothing was moved there.
pub fn sweep_authority(
    repository: &Repository,
    observer: &dyn Observer,
    interrupt: &Interrupt,
) -> Result<Sweep, SweepError> {
    if View::new(repository)?.settings.remote.is_none() {
        return sweep(repository, &SweepRequest::default(), observer, interrupt);
    }
    for _ in 0..TRIES {
        let judge = Judge::keeping(repository, observer, interrupt)?;
        let mut plans = judge.judge_authority()?;
        interrupt.check()?;
        let _kept = judge.keep(&mut plans)?;
        if let Some(outcomes) = push(&judge, &plans)? {
            forget(&judge)?;
            return Ok(judge.sweep(outcomes.into_iter()));
        }
    }
    Err(SyncError::Contended { remote: "the remote".to_owned() }.into())
}

impl Judge<'_> {
    fn judge_authority(&self) -> Result<Vec<Plan>, SweepError> {
        let found = self.view.authority_branches()?;
        let kept = found.branches.into_iter().filter(|branch| {
            let state = branch.state();
            state.is_rebased() || state == crate::state::State::Broken
        });
        let subjects = kept.map(|branch| Subject {
            name: branch.name,
            tip: branch.tip,
            named: false,
            followed: None,
            note: branch.note,
        });
        let plans = self.judge_subjects(subjects.collect())?;
        let queue_only = self.view.settings.push_rebased == PushRebased::Queue;
        // Each branch is then moved when its turn comes; that one is broken is worth knowing at once.
        let stays = |plan: &Plan| queue_only && matches!(plan.change, Some(NoteChange::Carried { .. }));
        Ok(plans.into_iter().filter(|plan| !stays(plan)).collect())
    }
}

/// Moves branches and notes on the remote, all or none. `None`: something moved meanwhile.
fn push(judge: &Judge<'_>, plans: &[Plan]) -> Result<Option<Vec<Outcome>>, SweepError> {
    let outcomes = || Some(plans.iter().map(Plan::outcome).collect());
    if plans.iter().all(|plan| plan.change.is_none()) {
        return Ok(outcomes());
    }
    let view = &judge.view;
    let base_tip = view.settings.base_tip(view.repository)?;
    let identity = view.repository.identity()?;
    let transactor = Transactor {
        repository: view.repository,
        settings: &view.settings,
        identity: &identity,
        observer: judge.observer,
    };
    let moving = || plans.iter().filter(|plan| plan.moves());
    let moves: Vec<Change> = moving()
        .map(|plan| Change::update(plan.subject.name.clone(), Some(plan.subject.tip.0), plan.new.0))
        .collect();
    let place = |name: &RefName| view.settings.authority(name);
    let signed = moving().filter_map(|plan| plan.subject.note.as_ref());
    let kept = kept::keeping(view.repository, place, signed)?;
    let remote =
        || view.settings.remote.as_ref().map(|tracking| tracking.remote().to_owned()).unwrap_or_default();
    let action = format!("rebase {} branches onto {}", moves.len(), view.settings.base.short());
    let edit = |notes: &Notes<'_>| Ok(notes::edit(notes, plans, base_tip, &action)?);
    let changes =
        |notes: Option<Change>| notes.into_iter().chain(kept.clone()).chain(moves.clone()).collect();
    match transactor.transact("rebase", edit, changes)? {
        Transacted::Done => Ok(outcomes()),
        Transacted::Moved(_) => Ok(None),
        Transacted::Refused(why) => Err(SyncError::Rejected { remote: remote(), why }.into()),
        Transacted::Unable(why) => Err(SyncError::Unable { remote: remote(), why }.into()),
    }
}

/// Takes away approved commits that no branch needs any more. What cannot be taken away now is the next time.
fn forget(judge: &Judge<'_>) -> Result<(), SweepError> {
    let view = View::new(judge.view.repository)?;
    let Some(tracking) = &view.settings.remote else { return Ok(()) };
    let branches = [view.authority_branches()?.branches, view.local_branches()?.branches].concat();
    let needless = kept::needless(view.repository, &tracking.deploy(), &branches)?;
    let pushes: Vec<_> = needless.iter().map(Change::as_push).collect();
    if !pushes.is_empty() {
        sync::push_and_follow(view.repository, tracking, &pushes)?;
    }
    Ok(kept::forget_here(view.repository, &branches)?)
}
