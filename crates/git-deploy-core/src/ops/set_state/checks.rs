//! Whether branches would stay what they are set to.

use std::collections::HashMap;

use super::{Planned, SetError};
use crate::branch::Branch;
use crate::git::Repository;
use crate::git::chains::Chains;
use crate::ids::{CommitId, RefName};
use crate::ops::view::View;
use crate::rebase::{Committer, Engine, MergeTreeEngine, Request, Skip, Verdict};
use crate::revert::TakenBack;
use crate::state::{Move, State, user_move};

/// The rebase checks of a request. A write that is tried again because another writer was faster asks for the same ones.
#[derive(Default)]
pub(super) struct Checks(HashMap<(CommitId, CommitId), Verdict>);

impl Checks {
    /// Refuses branches that would not stay staged or deployable.
    pub(super) fn check(
        &mut self,
        view: &View<'_>,
        moved: &[(Branch, State)],
        to: State,
    ) -> Result<(), SetError> {
        let is_checked = |from| user_move(from, to) == Ok(Move::IfRebases);
        let to_check: Vec<&Branch> =
            moved.iter().filter(|(_, from)| is_checked(*from)).map(|(branch, _)| branch).collect();
        if to_check.is_empty() {
            return Ok(());
        }
        let base = view.settings.base_tip(view.repository)?;
        self.ask(view, &to_check, base)?;
        let onto = view.settings.authority(&view.settings.base).short().to_owned();
        // All of them are told at once: whoever mends one by one sets them again as often.
        let mut refused: Vec<SetError> = Vec::new();
        for branch in to_check {
            match self.judge(branch, base, to, &onto) {
                Ok(()) => {}
                Err(error @ SetError::Empty { .. }) => {
                    let why = match taken_back(view, branch, to)? {
                        None => landed(view, branch, to)?,
                        why => why,
                    };
                    refused.push(why.unwrap_or(error));
                }
                Err(error @ SetError::Conflicts { .. }) => {
                    let taken = view.beginning_taken_back(&branch.name, branch.tip)?.map(Box::new);
                    let beginning =
                        |taken| SetError::BeginningTakenBack { branch: branch.name.clone(), to, taken };
                    refused.push(taken.map_or(error, beginning));
                }
                Err(error) => refused.push(error),
            }
        }
        SetError::all_of(refused)
    }

    /// Asks for the verdicts that are not known yet. Only these are wanted, so that what a rebase makes stays nowhere.
    fn ask(&mut self, view: &View<'_>, branches: &[&Branch], base: CommitId) -> Result<(), SetError> {
        let mut on_base = Chains::on(base);
        let requests: Vec<Request> = branches
            .iter()
            .filter(|branch| !self.0.contains_key(&(branch.tip, base)))
            .filter(|branch| !on_base.reach(view.repository, branch.tip))
            .map(|branch| Request::onto_base(branch.name.clone(), branch.tip, base))
            .collect();
        if requests.is_empty() {
            return Ok(());
        }
        let aside = match view.judges_in_place()? {
            true => None,
            false => Some(view.repository.with_objects_aside()?),
        };
        let repository = aside.as_ref().unwrap_or(view.repository);
        let verdicts = MergeTreeEngine::new(repository, Committer::Keep).for_check().rebase(&requests)?;
        self.0.extend(requests.iter().map(|request| (request.tip, base)).zip(verdicts));
        Ok(())
    }

    fn judge(&self, branch: &Branch, base: CommitId, to: State, onto: &str) -> Result<(), SetError> {
        let (branch, verdict) = (branch.name.clone(), self.0.get(&(branch.tip, base)));
        let onto = onto.to_owned();
        match verdict {
            None | Some(Verdict::Current | Verdict::Rebased(_)) => Ok(()),
            Some(Verdict::Broken(conflict)) => {
                Err(SetError::Conflicts { branch, to, onto, conflict: conflict.clone() })
            }
            Some(Verdict::Skipped(Skip::Landed)) => Err(SetError::Empty { branch, to, onto }),
            Some(Verdict::Skipped(why)) => Err(SetError::NotRebased { branch, to, onto, why: why.clone() }),
        }
    }
}

/// The refusal of a branch that base has had, and has taken back since.
pub(super) fn taken_back(view: &View<'_>, branch: &Branch, to: State) -> Result<Option<SetError>, SetError> {
    let taken = view.taken_back(branch)?;
    Ok(taken.map(|taken| SetError::TakenBack { branch: branch.name.clone(), to, taken: Box::new(taken) }))
}

/// The refusal of a branch that has landed as somebody else's rebase made it.
fn landed(view: &View<'_>, branch: &Branch, to: State) -> Result<Option<SetError>, SetError> {
    let landed = view.landed_elsewhere(&branch.name, branch.tip)?;
    Ok(landed.map(|landed| SetError::Landed { branch: branch.name.clone(), to, landed: Box::new(landed) }))
}

/// The branches of which a deployment brings only what came after base has had, and has taken back, what they begin with. What
/// cannot be found out about that stops nobody: by then all of it is set, and published.
pub(super) fn beheaded(repository: &Repository, planned: &Planned, to: State) -> Vec<(RefName, TakenBack)> {
    let view = to.is_rebased().then(|| View::new(repository).ok());
    let Some(view) = view.flatten() else { return Vec::new() };
    let of = |(branch, _): &(Branch, State)| {
        Some((branch.name.clone(), view.beginning_taken_back(&branch.name, branch.tip).ok().flatten()?))
    };
    planned.moved.iter().filter_map(of).collect()
}
