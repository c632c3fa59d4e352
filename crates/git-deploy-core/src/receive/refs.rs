//! Tags, claims, locks and what was applied: written as our own commands write them, and never taken back.

use super::notes::has_landed;
use super::{Forward, MOST_AHEAD, Moved, Push, Reason, Refusal, RenderedMove};
use crate::attempt::{Attempt, LOCK_TTL, Lock};
use crate::deployment::Phase;
use crate::ids::{CommitId, DeploymentId, EnvironmentName, ObjectId};
use crate::ledger::{Deployment, Outcome};
use crate::note::Note;
use crate::state::State;

/// Seconds that a lock may say to stay unchanged, and be waited for: ten times what git-deploy itself says.
const LONGEST_TTL: u64 = 10 * LOCK_TTL;

impl Push {
    pub(super) fn judge_refs(&self) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        let mut refuse = |name: &str, reason: Option<Reason>| {
            refusals.extend(reason.map(|reason| Refusal::new(name, reason)));
        };
        for (id, tag) in &self.tags {
            refuse(tag.name.as_str(), self.tag_reason(id, tag));
        }
        for (id, attempt) in &self.attempts {
            refuse(attempt.name.as_str(), self.attempt_reason(id, attempt));
        }
        for RenderedMove { name, forward, is_applied, .. } in &self.rendered {
            let reason = match forward {
                Forward::On => (!is_applied).then_some(Reason::NotApplied),
                Forward::Back => Some(Reason::Back),
                Forward::Away => Some(Reason::Deleted),
            };
            refuse(name, reason);
        }
        for lock in &self.locks {
            refuse(lock.name.as_str(), self.lock_reason(lock));
        }
        for hold in &self.holds {
            // Whoever may write beside it may hold the queue, and let it go on.
            let unreadable = hold.after.as_ref().and_then(|after| after.as_ref().err());
            refuse(hold.name.as_str(), unreadable.cloned().map(Reason::Unreadable));
        }
        for promotion in &self.promotions {
            // It is judged by whoever deploys, by the rules of base.
            let unreadable = promotion.after.as_ref().and_then(|after| after.as_ref().err());
            refuse(promotion.name.as_str(), unreadable.cloned().map(Reason::Unreadable));
        }
        for ((environment, number), kept) in &self.kept {
            let reason = match (&kept.before, &kept.after) {
                (_, None) => Some(Reason::Deleted),
                (_, Some(Err(why))) => Some(Reason::Unreadable(why.clone())),
                (None, Some(Ok(at))) => self.applied_reason(environment, *number, *at),
                // Whoever takes a deployment up applies it again, and keeps what that was.
                (Some(_), Some(Ok(_))) => self.kept_reason(environment, *number),
            };
            refuse(kept.name.as_str(), reason);
        }
        refusals
    }

    fn tag_reason(&self, id: &DeploymentId, tag: &Moved<Deployment>) -> Option<Reason> {
        let after = match (&tag.before, &tag.after) {
            (_, None) => return Some(Reason::Deleted),
            (Some(_), Some(_)) => return Some(Reason::WriteOnce),
            (None, Some(Err(why))) => return Some(Reason::Unreadable(why.clone())),
            (None, Some(Ok(after))) => after,
        };
        if let Some(reason) = self.number_reason(id) {
            return Some(reason);
        }
        let is_its = |claim: &Attempt| {
            claim.phase == Phase::Finished
                && claim.candidate == after.commit
                && claim.environment == after.environment
                && claim.outcome == Some(after.outcome)
        };
        let ends = self.moved_claim(id).is_some_and(is_its);
        let reason = match self.known.attempts.get(id) {
            // The number of what is under way is given its verdict by whoever ends that.
            Some(open) if open.phase != Phase::Finished => match after.outcome {
                _ if !ends || open.candidate != after.commit => Some(Reason::NotTheVerdict(id.clone())),
                Outcome::Success if open.phase != Phase::Verified => {
                    Some(Reason::NotVerified { id: id.clone(), phase: open.phase })
                }
                _ => None,
            },
            Some(finished) => (!is_its(finished)).then(|| Reason::NotTheVerdict(id.clone())),
            // A ledger that comes to a server which has none.
            None if self.known.is_blank() => (!self.known.has_base).then_some(Reason::NoBase),
            None if !ends => Some(Reason::NotClaimed(id.clone())),
            // Nobody can tell one that nobody saw from one that was made up. A failure lands nothing, and is gone back to by nobody.
            None => (after.outcome == Outcome::Success).then(|| Reason::Unseen(id.clone())),
        };
        reason.or_else(|| self.lands_nowhere(after).then_some(Reason::LandedElsewhere(after.commit)))
    }

    /// Whether a verdict says that its commit has landed, and neither base has that nor does this push bring it there: a clone
    /// that took its word for it could publish nothing any more. Who goes back goes to what landed once, whatever base became
    /// since.
    fn lands_nowhere(&self, verdict: &Deployment) -> bool {
        let claim = self.known.attempts.get(&verdict.id);
        let back_to = claim.and_then(|claim| self.known.deployments.get(claim.rollback.as_ref()?));
        if back_to.is_some_and(|landed| has_landed(landed) && landed.commit == verdict.commit) {
            return false;
        }
        let comes = self.base.as_ref().and_then(|base| base.after) == Some(verdict.commit);
        has_landed(verdict) && !comes && !self.known.on_base.contains(&verdict.commit)
    }

    fn attempt_reason(&self, id: &DeploymentId, moved: &Moved<Attempt>) -> Option<Reason> {
        let after = match (&moved.before, &moved.after) {
            (_, None) => return Some(Reason::Deleted),
            (Some(Err(why)), _) | (_, Some(Err(why))) => return Some(Reason::Unreadable(why.clone())),
            (None, Some(Ok(after))) => {
                let number = self.number_reason(id);
                return number
                    .or_else(|| self.claim_reason(after))
                    .or_else(|| self.finished_reason(id, after));
            }
            (Some(Ok(before)), Some(Ok(_))) if before.phase == Phase::Finished => {
                return Some(Reason::Finished(id.clone()));
            }
            (Some(Ok(before)), Some(Ok(after))) => {
                if let Some(what) = changed(before, after) {
                    return Some(Reason::Claim(what));
                }
                if (before.phase, after.phase) == (Phase::Claimed, Phase::Verified) {
                    return Some(Reason::Leap(id.clone()));
                }
                after
            }
        };
        self.finished_reason(id, after).or_else(|| self.on_its_way_reason(id, after))
    }

    /// Numbers are counted. Those of a ledger that comes as a whole are counted among themselves.
    fn number_reason(&self, id: &DeploymentId) -> Option<Reason> {
        let first = DeploymentId { number: 0, ..id.clone() };
        let highest = match self.known.is_blank() {
            true => {
                let before = |other: Option<&DeploymentId>| other.map_or(0, |other| other.number);
                let range = || first.clone()..id.clone();
                let tagged = self.tags.range(range()).next_back().map(|(id, _)| id);
                before(tagged).max(before(self.attempts.range(range()).next_back().map(|(id, _)| id)))
            }
            false => {
                let last = DeploymentId { number: u64::MAX, ..id.clone() };
                let known = [&self.known.tagged, &self.known.claimed];
                let highest = known.map(|ids| ids.range(&first..=&last).next_back());
                highest.into_iter().flatten().map(|id| id.number).max().unwrap_or(0)
            }
        };
        (id.number > highest + MOST_AHEAD).then_some(Reason::Ahead(highest))
    }

    /// A new claim. One that has its verdict was made where there was no remote.
    fn claim_reason(&self, attempt: &Attempt) -> Option<Reason> {
        match attempt.phase {
            Phase::Finished if self.known.is_blank() => return None,
            Phase::Finished => return self.environment_reason(attempt),
            Phase::Claimed if self.known.tagged.contains(&attempt.id) => {
                return Some(Reason::Finished(attempt.id.clone()));
            }
            Phase::Claimed => {}
            begun @ (Phase::Applying | Phase::Verified) => return Some(Reason::Begun(begun)),
        }
        let reason = self.environment_reason(attempt).or_else(|| self.other_base_reason(attempt));
        if let Some(reason) = reason.or_else(|| self.not_deployable_reason(attempt)) {
            return Some(reason);
        }
        let went_there = |id: &DeploymentId| {
            self.known.deployments.get(id).is_some_and(|earlier| earlier.commit == attempt.candidate)
        };
        let may_be = attempt.branch.is_some()
            || self.known.on_base.contains(&attempt.candidate)
            || attempt.rollback.as_ref().is_some_and(went_there);
        (!may_be).then_some(Reason::NotOnBase(attempt.candidate))
    }

    /// It is upon base as that stands: what is upon another one can only fail, and others wait for it until then.
    fn other_base_reason(&self, attempt: &Attempt) -> Option<Reason> {
        let what = format!("base at '{}', where it does not stand", attempt.base.brief());
        let is_other = self.known.base.is_some_and(|base| base != attempt.base);
        is_other.then(|| Reason::OtherClaim { id: attempt.id.clone(), what })
    }

    /// A branch is claimed with the note that has it deployable, or after that.
    fn not_deployable_reason(&self, attempt: &Attempt) -> Option<Reason> {
        let (branch, commit) = (attempt.branch.clone()?, attempt.candidate);
        match (self.deployable_after(attempt), self.known.unsigned.get(&commit)) {
            (None, _) => Some(Reason::NotDeployable { commit, branch }),
            (Some(_), why) => why.map(|why| Reason::Unsigned { commit, why: why.clone() }),
        }
    }

    /// The note that has a candidate deployable after the push.
    fn deployable_after(&self, attempt: &Attempt) -> Option<&Note> {
        let (branch, note) = (attempt.branch.as_ref()?, self.known.notes_after.get(&attempt.candidate)?);
        (note.state == State::Deployable && note.speaks_for(branch, true)).then_some(note)
    }

    /// What is claimed by this push, with the notes that have it deployable.
    pub(super) fn claimed(&self) -> impl Iterator<Item = (&Attempt, &Note)> {
        let new = self.attempts.values().filter(|moved| moved.before.is_none());
        let claims = new.filter_map(|moved| moved.after.as_ref()?.as_ref().ok());
        let claims = claims.filter(|claim| claim.phase == Phase::Claimed);
        claims.filter_map(|claim| Some((claim, self.deployable_after(claim)?)))
    }

    /// It goes to an environment that there is, and is counted as that counts.
    fn environment_reason(&self, attempt: &Attempt) -> Option<Reason> {
        let lands = self.known.environments.as_ref()?.get(&attempt.environment);
        let wanted = match lands {
            None => return Some(Reason::NoEnvironment(attempt.environment.clone())),
            Some(true) => None,
            Some(false) => Some(attempt.environment.clone()),
        };
        let number = attempt.id.number;
        let wanted = DeploymentId { environment: wanted, number };
        (wanted != attempt.id).then_some(Reason::OtherName(wanted))
    }

    fn finished_reason(&self, id: &DeploymentId, after: &Attempt) -> Option<Reason> {
        let has_tag = || {
            let verdict = self.verdict(id);
            verdict.is_some_and(|verdict| {
                verdict.commit == after.candidate && Some(verdict.outcome) == after.outcome
            })
        };
        (after.phase == Phase::Finished && !has_tag()).then_some(Reason::NoTag)
    }

    /// What is changed from then on is what the notes have approved.
    fn on_its_way_reason(&self, id: &DeploymentId, after: &Attempt) -> Option<Reason> {
        let is_going = matches!(after.phase, Phase::Applying | Phase::Verified) && after.branch.is_some();
        let note = self.known.notes_after.get(&after.candidate);
        let is_noted = note.is_some_and(|note| note.deployment.as_ref() == Some(id));
        (is_going && !is_noted).then_some(Reason::NotOnItsWay(after.candidate))
    }

    /// A lock is taken and given back in the push that says what for, unless it is held for no deployment. In between it moves also where the claim stays as it
    /// is: one that is written twice within a second is the same commit.
    fn lock_reason(&self, lock: &Moved<Lock>) -> Option<Reason> {
        if let Some(Err(why)) = &lock.after {
            return Some(Reason::Unreadable(why.clone()));
        }
        if let Some(Ok(Lock { ttl, .. })) = &lock.after
            && *ttl > LONGEST_TTL
        {
            return Some(Reason::Ttl(*ttl));
        }
        if self.is_of_tidying(lock) {
            return None;
        }
        let of = match (&lock.after, &lock.before) {
            (Some(Ok(lock)), _) | (None, Some(Ok(lock))) => lock.deployment.as_ref(),
            // What nobody can read may be taken away by anybody who deploys.
            _ => return self.attempts.is_empty().then_some(Reason::Alone),
        };
        let comes = of.is_some_and(|id| {
            let is_open = |attempt: &Attempt| attempt.phase != Phase::Finished;
            let is_held = lock.after.is_some() && self.known.attempts.get(id).is_some_and(is_open);
            is_held || self.attempts.get(id).is_some_and(|attempt| attempt.after.is_some())
        });
        (!comes).then_some(Reason::Alone)
    }

    /// Whether the lock of an environment is taken, renewed or given back by somebody who deletes between two deployments what
    /// was kept for long enough. One that is held for a deployment is no business of theirs, and of an environment that is
    /// none any more it is only given back.
    fn is_of_tidying(&self, lock: &Moved<Lock>) -> bool {
        let is_for_none = |side: &Option<Result<Lock, String>>| {
            side.as_ref().is_none_or(|lock| matches!(lock, Ok(Lock { deployment: None, .. })))
        };
        let Some(name) = lock.name.as_str().strip_prefix("refs/deploy/lock/env/") else { return false };
        let known = || self.known.environments.iter().flat_map(|known| known.keys());
        let may_stand = lock.after.is_none() || known().any(|known| known.as_str() == name);
        may_stand && is_for_none(&lock.before) && is_for_none(&lock.after)
    }

    /// What is applied is kept by the deployment that applies it; one that is over already has said what that was.
    fn applied_reason(&self, environment: &EnvironmentName, number: u64, at: ObjectId) -> Option<Reason> {
        let ids = DeploymentId::of_number(environment, number);
        let moves = |id| self.moved_claim(id).is_some_and(|claim| claim.environment == *environment);
        let stands = |id| {
            self.known.attempts.get(id).is_some_and(|claim| {
                let said = claim.phase != Phase::Finished || claim.rendered == Some(CommitId(at));
                claim.environment == *environment && said
            })
        };
        let is_founded = self.known.is_blank() || ids.iter().any(|id| moves(id) || stands(id));
        (!is_founded).then_some(Reason::Alone)
    }

    fn kept_reason(&self, environment: &EnvironmentName, number: u64) -> Option<Reason> {
        let open = self.attempts.iter().any(|(id, moved)| {
            let is_it =
                |attempt: &Attempt| attempt.environment == *environment && attempt.phase != Phase::Finished;
            id.number == number && matches!(&moved.before, Some(Ok(before)) if is_it(before))
        });
        (!open).then_some(Reason::Alone)
    }
}

/// What a claim was made for, and stays.
fn changed(before: &Attempt, after: &Attempt) -> Option<&'static str> {
    let skipped = |attempt: &Attempt| attempt.skip.as_ref().map(|skip| skip.what.clone());
    let kept = [
        ("environment", before.environment == after.environment),
        ("branch", before.branch == after.branch),
        ("candidate", before.candidate == after.candidate),
        ("approved commit", before.approved == after.approved),
        ("base", before.base == after.base),
        ("beginning", before.started == after.started),
        ("way back", before.rollback == after.rollback),
        // Whoever takes it over may have to give it again, with a reason of their own.
        ("skipping", skipped(before) == skipped(after)),
        ("approval", before.approved_by == after.approved_by),
        ("approved deployment", before.approved_deployment == after.approved_deployment),
    ];
    kept.into_iter().find(|(_, is_kept)| !is_kept).map(|(what, _)| what)
}
