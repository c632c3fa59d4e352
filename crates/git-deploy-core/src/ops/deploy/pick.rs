//! Which commit is deployed next, and where to. What is found out here needs no number and changes nothing but notes.

use super::row::Passage;
use super::{Context, DeployError, DeployRequest, Nothing};
use crate::approval::{Decided, NotApproved};
use crate::branch::{Branch, Status};
use crate::candidate::{Candidate, NoCandidate};
use crate::config::deploy_toml::Environment;
use crate::git::notes::{Notes, NotesEdit, notes_ref};
use crate::ids::{CommitId, DeploymentId, RefName};
use crate::land::Change;
use crate::ledger::next_number;
use crate::note::{MAX_BYTES, MAX_BYTES_OF_IMAGES, Note};
use crate::ops::approve::{self, Past};
use crate::ops::hold::queue_hold;
use crate::ops::sweep::upstream;
use crate::ops::transact::Transacted;
use crate::queue;
use crate::rebase::{Committer, Conflict, Engine, MergeTreeEngine, Request, Skip, Verdict};
use crate::state::{Decision, State};

/// A candidate and where it goes.
pub(super) struct Pick {
    /// What is deployed.
    pub(super) candidate: Candidate,
    /// Where to.
    pub(super) environment: Environment,
    /// Commits that its rebase dropped because base had them already.
    pub(super) dropped: Vec<CommitId>,
    /// The earlier deployment whose bytes are applied again.
    pub(super) rollback: Option<DeploymentId>,
    /// How it comes there.
    pub(super) passage: Passage,
}

/// The most bytes that the note of a branch may have which is deployed, less its images. A run adds where the commit comes
/// from, the number, other images and, where it fails, the reason: what cannot be written then would stop it in the middle, and
/// whoever comes after it.
const MAX_BYTES_BEFORE: usize = MAX_BYTES - MAX_BYTES_OF_IMAGES - 12 * 1024;

/// The candidate that waits on its way from one environment to the next.
fn waiting(error: &DeployError) -> Option<CommitId> {
    match error {
        DeployError::Unpromoted(waits) => Some(waits.commit),
        DeployError::Frozen { commit, .. } => Some(*commit),
        _ => None,
    }
}

impl Context<'_> {
    /// Finds the candidate: what the user named, else the first in the queue that rebases. `None`: there is none.
    pub(super) fn pick(
        &self,
        request: &DeployRequest,
        dry: bool,
    ) -> Result<Result<Pick, Nothing>, DeployError> {
        if let Some(rollback) = &request.rollback {
            return self.pick_rollback(rollback, request).map(Ok);
        }
        match &request.target {
            Some(target) => self.pick_named(target, request, dry),
            None => self.pick_from_queue(request, dry),
        }
    }

    fn pick_from_queue(
        &self,
        request: &DeployRequest,
        dry: bool,
    ) -> Result<Result<Pick, Nothing>, DeployError> {
        self.check_hold()?;
        let found = self.view.authority_branches()?;
        self.deployer.observer.unreadable(&self.view, &found.malformed);
        let mut places = self.view.order_unapproved(&found.branches)?;
        let nothing = if places.is_empty() { Nothing::QueueEmpty } else { Nothing::NoneTaken };
        for place in &places {
            if let Some(wait @ queue::Wait::RolledBack { .. }) = &place.waits {
                let (branch, why) = (place.branch.clone(), format!("it {wait}"));
                self.deployer.observer.warn(&DeployError::NotTaken { branch, why }.to_string());
            }
        }
        // Those that are behind the head may become it; the others wait for something else.
        places.retain(|place| matches!(place.waits, None | Some(queue::Wait::Behind(_))));
        let held = if places.is_empty() { None } else { self.rolled_back()? };
        let mut broken = None;
        for place in places {
            let Some(branch) = found.branches.iter().find(|branch| branch.name == place.branch) else {
                continue;
            };
            match self.pick_branch(branch, request, dry) {
                // What takes back what was rolled back is what the others wait for.
                Ok(pick) if held.is_some() && self.brings_back(pick.candidate.commit())? => {}
                Ok(pick) => return Ok(Ok(pick)),
                // It leaves the queue, or cannot be taken: those behind it go on without it.
                Err(error @ DeployError::Broken { .. }) => {
                    self.deployer.observer.warn(&error.to_string());
                    broken = Some(error);
                }
                Err(
                    error @ (DeployError::NotTaken { .. }
                    | DeployError::TakenBack { .. }
                    | DeployError::NotApproved { .. }),
                ) => {
                    self.deployer.observer.warn(&error.to_string());
                }
                Err(error) => match waiting(&error) {
                    // It keeps its place, and those behind it wait with it; but not whoever takes back what was rolled back.
                    Some(commit) if held.is_some() && self.brings_back(commit)? => {}
                    _ => return Err(error),
                },
            }
        }
        if let Some(held) = held {
            return Err(DeployError::RolledBack(Box::new(held)));
        }
        // Somebody has to see to it, so that it is no "nothing to do".
        broken.map_or(Ok(Err(nothing)), Err)
    }

    fn pick_named(
        &self,
        target: &str,
        request: &DeployRequest,
        dry: bool,
    ) -> Result<Result<Pick, Nothing>, DeployError> {
        let name = RefName::typed(target).ok();
        let branches = self.view.authority_branches()?.branches;
        if let Some(branch) =
            name.as_ref().and_then(|name| branches.iter().find(|branch| branch.name == *name))
        {
            self.check_hold()?;
            return self.pick_branch(branch, request, dry).map(Ok);
        }
        if let Some(name) = name.filter(|name| name.branch_name().is_some())
            && self.view.settings.remote.is_some()
            && self.repository().tip(&name)?.is_some()
            && name != self.view.settings.base
        {
            let why = "it is not pushed: the remote's branches are what is deployed".to_owned();
            return Err(DeployError::NotTaken { branch: name, why });
        }
        let commit = self.commit_named(target)?;
        if let Some(branch) =
            branches.iter().find(|branch| branch.tip == commit && branch.state() == State::Deployable)
        {
            self.check_hold()?;
            let pick = self.pick_branch(branch, request, dry)?;
            return match pick.candidate.commit() == commit {
                true => Ok(Ok(pick)),
                false => Err(DeployError::NotRebased { commit, branch: branch.name.clone() }),
            };
        }
        if !self.repository().is_ancestor(commit, self.base_tip)? {
            return Err(DeployError::CommitNotApproved(commit));
        }
        let (environment, passage) = self.way(request, (None, commit), dry)?;
        if let Some(stands) = self.stands_there(&environment, commit)? {
            return Ok(Err(stands));
        }
        Ok(Ok(Pick {
            candidate: Candidate::on_base(commit, self.base_tip),
            environment,
            dropped: Vec::new(),
            rollback: None,
            passage,
        }))
    }

    /// Nothing that is yet to land is taken while somebody holds the queue; what has landed may be deployed, and gone back from.
    pub(super) fn check_hold(&self) -> Result<(), DeployError> {
        let hold = queue_hold(self.repository(), &self.view.settings)?;
        hold.map_or(Ok(()), |hold| Err(DeployError::Held(Box::new(hold))))
    }

    /// The commit that a word names which is no branch to deploy. Base is what counts as base; our own branch of that name
    /// may be behind.
    fn commit_named(&self, target: &str) -> Result<CommitId, DeployError> {
        if RefName::typed(target).ok().as_ref() == Some(&self.view.settings.base) {
            return Ok(self.base_tip);
        }
        let commit = self.repository().find_commit(target)?;
        commit.ok_or_else(|| DeployError::NoTarget(target.to_owned()))
    }

    fn pick_branch(&self, branch: &Branch, request: &DeployRequest, dry: bool) -> Result<Pick, DeployError> {
        let (candidate, dropped) = self.candidate_of(branch, dry)?;
        let tip = candidate.commit();
        self.check_work_trees(branch, tip)?;
        let (environment, passage) = self.way(request, (Some(&branch.name), tip), dry)?;
        Ok(Pick { environment, candidate, dropped, rollback: None, passage })
    }

    /// What would be deployed of a branch, if it is approved and rebases; and the commits that the rebase dropped.
    pub(super) fn candidate_of(
        &self,
        branch: &Branch,
        dry: bool,
    ) -> Result<(Candidate, Vec<CommitId>), DeployError> {
        if let Status::Merged { .. } | Status::Deployed { .. } = branch.status {
            self.check_taken_back(branch)?;
        }
        if let Status::Merged { .. } = branch.status {
            let why = format!("it has nothing that '{}' has not", self.view.settings.base.short());
            return Err(DeployError::NotTaken { branch: branch.name.clone(), why });
        }
        if branch.state() != State::Deployable {
            return Err(DeployError::NotDeployable { branch: branch.name.clone(), state: branch.state() });
        }
        if let Some(why) = branch.hold() {
            let why = format!("it is on hold: {why}");
            return Err(DeployError::NotTaken { branch: branch.name.clone(), why });
        }
        if let Some(after) = self.view.comes_after(branch)? {
            let why = format!("it waits until '{after}' is deployed");
            return Err(DeployError::NotTaken { branch: branch.name.clone(), why });
        }
        if self.rules.is_some()
            && let Some(notes) = self.view.notes.commit
        {
            self.check_whole(notes_ref(), notes, "whether an approval was withdrawn")?;
        }
        // Nothing is done for a branch that nobody approved, not even a rebase.
        let signed = self.signed(branch)?;
        if let Some(why) = branch.note.as_ref().and_then(|note| too_long(note, branch.tip)) {
            return Err(DeployError::NotTaken { branch: branch.name.clone(), why });
        }
        let verdict = self.rebase(branch)?;
        let (tip, dropped) = match verdict {
            Some(Verdict::Rebased(rebased)) => (rebased.tip, rebased.dropped),
            Some(Verdict::Current) | None => (branch.tip, Vec::new()),
            Some(Verdict::Broken(conflict)) => return Err(self.broken(branch, &conflict, dry)?),
            Some(Verdict::Skipped(skip)) => {
                let why = match skip {
                    Skip::Landed => {
                        self.check_taken_back(branch)?;
                        format!("it has nothing that '{}' has not", self.view.settings.base.short())
                    }
                    skip => skip.to_string(),
                };
                return Err(DeployError::NotTaken { branch: branch.name.clone(), why });
            }
        };
        // As git sees it the branch is beside base then, and base is moved forward only.
        if !self.repository().is_ancestor(self.base_tip, tip)? {
            let what =
                format!("whether '{}' stands on '{}'", branch.name.short(), self.view.settings.base.short());
            self.check_whole(branch.name.clone(), tip, &what)?;
        }
        let of = (&branch.name, tip);
        let (repository, base_tip) = (self.repository(), self.base_tip);
        let (notes, has_landed) = (repository.notes()?, self.view.has_landed());
        let past = Past { notes: &notes, has_landed: &has_landed };
        let covers = |(signed, note)| approve::covers(repository, &past, signed, base_tip, of, note);
        let judged = signed.map(covers).transpose()?;
        let candidate = Candidate::of_branch(branch, tip, self.base_tip, judged).map_err(|no| match no {
            NoCandidate::NotApproved { branch, state } => DeployError::NotDeployable { branch, state },
            NoCandidate::NotSigned { branch, why } => DeployError::NotApproved { branch, why },
        })?;
        Ok((candidate, dropped))
    }

    /// Refuses a branch that base has had and has taken back: no rebase brings it again.
    fn check_taken_back(&self, branch: &Branch) -> Result<(), DeployError> {
        match self.view.taken_back(branch)? {
            Some(taken) => {
                Err(DeployError::TakenBack { branch: branch.name.clone(), taken: Box::new(taken) })
            }
            None => Ok(()),
        }
    }

    /// What a shallow clone does not have nobody can look at.
    fn check_whole(&self, of: RefName, tip: CommitId, what: &str) -> Result<(), DeployError> {
        if !self.repository().is_cut_off(tip)? {
            return Ok(());
        }
        let remote = self.view.settings.remote.as_ref().map(|tracking| tracking.remote().to_owned());
        Err(DeployError::CutOff { of, what: what.to_owned(), remote })
    }

    /// What somebody who may has signed of a branch; none where base asks for no signature.
    fn signed<'b>(&self, branch: &'b Branch) -> Result<Option<(Decided, &'b Note)>, DeployError> {
        let Some(rules) = &self.rules else { return Ok(None) };
        let signed = match &branch.note {
            Some(note) => rules.signed(note)?.map(|signed| (signed, note)),
            None => Err(NotApproved::Unsigned),
        };
        signed.map(Some).map_err(|why| DeployError::NotApproved { branch: branch.name.clone(), why })
    }

    /// What becomes of a branch on base as it is now. Moves nothing.
    fn rebase(&self, branch: &Branch) -> Result<Option<Verdict>, DeployError> {
        let upstream = upstream(self.repository(), branch.note.as_ref(), self.base_tip)?;
        let asked =
            Request { upstream, ..Request::onto_base(branch.name.clone(), branch.tip, self.base_tip) };
        let engine = MergeTreeEngine::new(self.repository(), self.committer());
        let verdict = engine.until(self.deployer.interrupt).rebase(&[asked])?.pop();
        // Ctrl-C reaches the programs that the engine asked, too: their failure is no verdict, nor is what was not judged then.
        self.deployer.interrupt.check()?;
        Ok(verdict)
    }

    /// Who commits what a rebase writes.
    pub(super) fn committer(&self) -> Committer {
        let committer = self.deploy_toml.committer.as_ref();
        Committer::configured(committer.map(|who| format!("{} <{}>", who.name, who.email)))
    }

    /// Whether a branch could be a candidate on base as it is now.
    pub(super) fn rebases(&self, branch: &Branch) -> Result<bool, DeployError> {
        Ok(matches!(self.rebase(branch)?, Some(Verdict::Rebased(_) | Verdict::Current)))
    }

    /// Writes down that a branch does not rebase, and says so.
    fn broken(&self, branch: &Branch, conflict: &Conflict, dry: bool) -> Result<DeployError, DeployError> {
        let error = DeployError::Broken {
            branch: branch.name.clone(),
            base: self.view.settings.base.clone(),
            paths: conflict.paths.clone(),
        };
        if dry {
            return Ok(error);
        }
        let edit = |notes: &Notes<'_>| {
            let mut edit =
                NotesEdit { message: format!("{} is broken", branch.name.short()), ..NotesEdit::default() };
            // Read again: somebody may have decided something meanwhile.
            let note = notes.get(branch.tip)?.filter(|note| note.speaks_for(&branch.name, true));
            let note = note.filter(|note| note.decision().is_some_and(|made| made != Decision::Development));
            if let Some(note) = note {
                edit.set(branch.tip, &note.broken(self.base_tip, conflict.paths.clone()));
            }
            Ok(edit)
        };
        match self.transactor().transact("broken", edit, |notes| notes.into_iter().collect())? {
            Transacted::Done => Ok(error),
            Transacted::Refused(why) => Err(DeployError::Forbidden(why)),
            Transacted::Unable(why) => Err(DeployError::NotClaimed(why)),
            Transacted::Moved(_) => Err(DeployError::NotClaimed("notes moved meanwhile".to_owned())),
        }
    }

    /// Without a remote it is the user's own branches that move: what could not follow is found out before the claim.
    fn check_work_trees(&self, branch: &Branch, tip: CommitId) -> Result<(), DeployError> {
        if self.view.settings.remote.is_some() {
            return Ok(());
        }
        let (base, transactor) = (&self.view.settings.base, self.transactor());
        let base_moves = Change::update(base.clone(), Some(self.base_tip.0), tip.0);
        if let Some(why) = transactor.cannot_follow(&base_moves)? {
            return Err(DeployError::BaseBusy { base: base.clone(), why: Box::new(why) });
        }
        let branch_moves = Change::update(branch.name.clone(), Some(branch.tip.0), tip.0);
        match transactor.cannot_follow(&branch_moves)?.filter(|_| tip != branch.tip) {
            None => Ok(()),
            Some(why) => {
                let why = format!("it has to be rebased, and {why}");
                Err(DeployError::NotTaken { branch: branch.name.clone(), why })
            }
        }
    }

    /// A commit of base that stands in the environment is not deployed again by naming it, and one that is older than what
    /// stands there not at all: going back is asked for in another way.
    fn stands_there(
        &self,
        environment: &Environment,
        commit: CommitId,
    ) -> Result<Option<Nothing>, DeployError> {
        let Some(latest) = self.view.ledger()?.latest_success(&environment.name) else { return Ok(None) };
        let (environment, deployment) = (environment.name.clone(), latest.id.clone());
        if commit == latest.commit {
            return Ok(Some(Nothing::Stands { commit, environment, deployment }));
        }
        if self.repository().is_ancestor(commit, latest.commit)? {
            return Err(DeployError::Older { commit, environment, deployment });
        }
        Ok(None)
    }

    /// The number that a deployment would get now: the highest that is known plus one, be it of a tag or of a claim.
    pub(super) fn next_id(&self, environment: &Environment) -> Result<DeploymentId, DeployError> {
        let prefix = (!environment.lands).then_some(&environment.name);
        Ok(next_number(&self.known_ids()?, prefix))
    }
}

/// Why a note has no room for what a deployment writes into it, if it has not.
fn too_long(note: &Note, commit: CommitId) -> Option<String> {
    let kept = Note { images: Vec::new(), ..note.clone() };
    let bytes = kept.to_string().len();
    (bytes > MAX_BYTES_BEFORE).then(|| {
        format!(
            "the note on commit '{commit}' is too long: it has {bytes} bytes, and beyond {MAX_BYTES_BEFORE} there is no room \
             for what a deployment adds; shorten it with: git notes --ref=deploy edit {commit}"
        )
    })
}
