//! How base may move: as a landing does, or by a bypass that the server lists.

use super::notes::has_landed;
use super::{Moved, Push, Reason, Refusal};
use crate::attempt::Attempt;
use crate::deployment::Phase;
use crate::ids::{CommitId, EnvironmentName};
use crate::ledger::Deployment;
use crate::note::Note;
use crate::state::State;

/// A move of base.
#[derive(Debug, Clone)]
pub struct BaseMove {
    /// The ref, as it was pushed.
    pub name: String,
    /// Where it stands; none if it is not there yet.
    pub before: Option<CommitId>,
    /// Where it would stand; none if it would be deleted.
    pub after: Option<CommitId>,
    /// Whether it would keep all that it has.
    pub forward: bool,
    /// The environment that lands, by the `deploy.toml` that stands on base; none where that cannot be read.
    pub lands: Option<EnvironmentName>,
    /// Set where base has no `deploy.toml`.
    pub first: Option<FirstDeployToml>,
    /// Who may push past the queue.
    pub hotfix: Hotfix,
}

/// What a push does for a base without a `deploy.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FirstDeployToml {
    /// It brings none.
    Missing,
    /// It brings one.
    Brought,
    /// It brings one that cannot be read.
    Wrong(String),
}

/// Who may move base past the queue, as the server's own configuration has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hotfix {
    /// Those who may.
    pub listed: Vec<String>,
    /// Who pushes, as far as the server knows.
    pub pusher: Option<String>,
}

impl Push {
    pub(super) fn judge_base(&self) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        if let Some(base) = &self.base {
            let reason = self.base_reason(base);
            refusals.extend(reason.map(|reason| Refusal::new(&base.name, reason)));
        }
        for trace in &self.hotfixes {
            let reason = self.trace_reason(trace);
            refusals.extend(reason.map(|reason| Refusal::new(trace.name.as_str(), reason)));
        }
        refusals
    }

    fn base_reason(&self, base: &BaseMove) -> Option<Reason> {
        let Some(after) = base.after else { return Some(Reason::Deleted) };
        // Whoever begins a repository begins base.
        let before = base.before?;
        if !base.forward {
            return Some(Reason::Back);
        }
        if let Some(landed) = self.landed(after) {
            return self.landing_reason(base, before, after, landed);
        }
        if self.hotfixes.iter().any(|trace| matches!(trace.after, Some(Ok(commit)) if commit == after)) {
            return base.hotfix.reason();
        }
        match &base.first {
            Some(FirstDeployToml::Brought) => None,
            Some(FirstDeployToml::Missing) => Some(Reason::NoDeployToml),
            Some(FirstDeployToml::Wrong(why)) => Some(Reason::DeployToml(why.clone())),
            None => Some(Reason::NotLanded(after)),
        }
    }

    /// The verdict of this push that base moves by.
    fn landed(&self, after: CommitId) -> Option<&Deployment> {
        let brought = self.tags.keys().filter_map(|id| self.brought(id));
        brought
            .into_iter()
            .find(|brought| has_landed(brought) && brought.rollback.is_none() && brought.commit == after)
    }

    /// The claim that stood before, and the note that stood before, have to say that this is what lands.
    fn landing_reason(
        &self,
        base: &BaseMove,
        before: CommitId,
        after: CommitId,
        landed: &Deployment,
    ) -> Option<Reason> {
        let id = landed.id.clone();
        let Some(attempt) = self.known.attempts.get(&id) else { return Some(Reason::NotClaimed(id)) };
        let other = |what: String| Some(Reason::OtherClaim { id: id.clone(), what });
        if attempt.candidate != after {
            return other(format!("'{}'", attempt.candidate.brief()));
        }
        if attempt.base != before {
            return other(format!("base at '{}', where it does not stand any more", attempt.base.brief()));
        }
        let Some(branch) = attempt.branch.clone() else { return other("no branch".to_owned()) };
        if attempt.phase != Phase::Verified {
            return Some(Reason::NotVerified { id, phase: attempt.phase });
        }
        if let Some(lands) = base.lands.clone().filter(|lands| *lands != attempt.environment) {
            return Some(Reason::OtherEnvironment { id, environment: attempt.environment.clone(), lands });
        }
        // A withdrawal that came when it was on its way came too late; that it was approved then was judged then.
        if self.went_on_its_way(attempt) {
            return None;
        }
        match (self.approved_before(attempt), self.known.unsigned.get(&after)) {
            (None, _) => Some(Reason::NotApproved { commit: after, branch }),
            (Some(_), why) => why.map(|why| Reason::Unsigned { commit: after, why: why.clone() }),
        }
    }

    /// Whether the note of a candidate said before the push that its deployment is on its way.
    fn went_on_its_way(&self, attempt: &Attempt) -> bool {
        let note = self.known.notes_before.get(&attempt.candidate);
        note.is_some_and(|note| note.deployment.as_ref() == Some(&attempt.id))
    }

    /// The note that approved a candidate before the push.
    fn approved_before(&self, attempt: &Attempt) -> Option<&Note> {
        let branch = attempt.branch.as_ref()?;
        let note = self.known.notes_before.get(&attempt.candidate)?;
        (note.state == State::Deployable && note.speaks_for(branch, true)).then_some(note)
    }

    /// What lands and was not looked at when it went on its way: its claim, and the note that approved it.
    pub(super) fn lands_unseen(&self) -> Option<(&Attempt, &Note)> {
        let landed = self.landed(self.base.as_ref()?.after?)?;
        let attempt = self.known.attempts.get(&landed.id).filter(|attempt| !self.went_on_its_way(attempt))?;
        Some((attempt, self.approved_before(attempt)?))
    }

    /// The trace of a hotfix is made by nothing else, and stays.
    fn trace_reason(&self, trace: &Moved<CommitId>) -> Option<Reason> {
        match (&trace.before, &trace.after) {
            (_, None) => Some(Reason::Deleted),
            (Some(_), Some(_)) => Some(Reason::WriteOnce),
            (None, Some(Err(why))) => Some(Reason::Unreadable(why.clone())),
            (None, Some(Ok(commit))) => {
                let moves_there = |base: &BaseMove| {
                    base.after == Some(*commit) && base.before.is_some_and(|old| old != *commit)
                };
                (!self.base.as_ref().is_some_and(moves_there)).then_some(Reason::NoHotfix)
            }
        }
    }
}

impl Hotfix {
    fn reason(&self) -> Option<Reason> {
        let Some(pusher) = &self.pusher else { return Some(Reason::Unknown) };
        (!self.listed.contains(pusher)).then(|| Reason::NotListed(pusher.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::RefName;
    use crate::note::Note;

    fn commit(digit: &str) -> CommitId {
        digit.repeat(40).parse().unwrap()
    }

    fn claim() -> Attempt {
        let text = format!(
            "x\n\nphase: verified\nenvironment: live\nbranch: refs/heads/login\ncandidate: {0}\napproved: {0}\n\
             base: {1}\nstarted: 2026-11-20T12:00:00Z\nby: Ada\nrun: 0f\n",
            commit("2"),
            commit("1")
        );
        Attempt::parse("deployment-0001".parse().unwrap(), &text).unwrap()
    }

    /// A push that lands commit 2 on commit 1, where that claim and that note stood before.
    fn landing(claim: Option<Attempt>, note: &str) -> Push {
        let message = format!(
            "Successfully Deployed\n\nEnvironment: live\nCommit: {}\nStarted: 2026-11-20T12:00:00Z\n\
             Finished: 2026-11-20T12:01:00Z\nResult: success\n",
            commit("2")
        );
        let tag = Deployment::parse("deployment-0001".parse().unwrap(), &message).unwrap();
        let name = tag.id.tag();
        let mut push = Push {
            base: Some(BaseMove {
                name: "refs/heads/master".to_owned(),
                before: Some(commit("1")),
                after: Some(commit("2")),
                forward: true,
                lands: Some("live".parse().unwrap()),
                first: None,
                hotfix: Hotfix::default(),
            }),
            ..Push::default()
        };
        push.tags.insert(tag.id.clone(), Moved { name, before: None, after: Some(Ok(tag)) });
        push.known.attempts.extend(claim.map(|claim| (claim.id.clone(), claim)));
        push.known.notes_before.extend(Note::parse(note.as_bytes()).ok().map(|note| (commit("2"), note)));
        push
    }

    fn reason(push: &Push) -> Option<Reason> {
        push.judge_base().pop().map(|refusal| refusal.reason)
    }

    const APPROVED: &str = "state: deployable\nref: refs/heads/login\n";

    #[test]
    fn what_was_claimed_verified_and_approved_lands() {
        assert_eq!(reason(&landing(Some(claim()), APPROVED)), None);
        let on_its_way = "state: development\nref: refs/heads/login\ndeployment: deployment-0001\n";
        assert_eq!(reason(&landing(Some(claim()), on_its_way)), None);
    }

    #[test]
    fn a_landing_lacks_its_claim_or_its_approval() {
        let not_claimed = reason(&landing(None, APPROVED));
        assert!(matches!(not_claimed, Some(Reason::NotClaimed(_))), "{not_claimed:?}");
        for note in
            ["", "state: staged\nref: refs/heads/login\n", "state: deployable\nref: refs/heads/other\n"]
        {
            let not_approved = reason(&landing(Some(claim()), note));
            assert!(matches!(not_approved, Some(Reason::NotApproved { .. })), "{not_approved:?}");
        }
    }

    #[test]
    fn a_claim_is_for_one_commit_upon_one_base_in_one_environment() {
        let reason_of = |claim: Attempt| reason(&landing(Some(claim), APPROVED));
        let others = [
            Attempt { candidate: commit("3"), ..claim() },
            Attempt { base: commit("3"), ..claim() },
            Attempt { branch: None, ..claim() },
        ];
        for other in others {
            let other = reason_of(other);
            assert!(matches!(other, Some(Reason::OtherClaim { .. })), "{other:?}");
        }
        let elsewhere = reason_of(Attempt { environment: "test".parse().unwrap(), ..claim() });
        assert!(matches!(elsewhere, Some(Reason::OtherEnvironment { .. })), "{elsewhere:?}");
        let early = reason_of(Attempt { phase: Phase::Applying, ..claim() });
        assert!(matches!(early, Some(Reason::NotVerified { .. })), "{early:?}");
    }

    #[test]
    fn going_back_moves_no_base() {
        let mut push = landing(Some(claim()), APPROVED);
        for tag in push.tags.values_mut() {
            if let Some(Ok(tag)) = &mut tag.after {
                tag.rollback = Some("deployment-0009".parse().unwrap());
            }
        }
        assert!(matches!(reason(&push), Some(Reason::NotLanded(_))));
    }

    #[test]
    fn a_trace_alone_is_no_hotfix_and_a_hotfix_needs_who_is_listed() {
        let trace = Moved {
            name: RefName::new("refs/tags/deploy-hotfix-1").unwrap(),
            before: None,
            after: Some(Ok(commit("2"))),
        };
        let mut push = Push { hotfixes: vec![trace], ..Push::default() };
        assert_eq!(reason(&push), Some(Reason::NoHotfix));
        push.base = landing(None, "").base;
        assert_eq!(reason(&push), Some(Reason::Unknown));
        let hotfix =
            |listed: &str| Hotfix { listed: vec![listed.to_owned()], pusher: Some("ada".to_owned()) };
        for (listed, wanted) in [("eve", Some(Reason::NotListed("ada".to_owned()))), ("ada", None)] {
            push.base = push.base.map(|base| BaseMove { hotfix: hotfix(listed), ..base });
            assert_eq!(reason(&push), wanted);
        }
    }
}
