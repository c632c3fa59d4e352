//! The engine: many branches at once, commit by commit, and `git merge-tree` for each commit that both sides changed something
//! for.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, HashMap, HashSet};

use super::plan::{Own, Plan, Step, plan};
use super::rewrite::rewritten;
use super::trees::Trees;
use super::upstream::Upstream;
use super::{Committer, Conflict, Engine, RebaseError, Rebased, Request, Skip, Verdict, history, sign};
use crate::git::attributes::ATTRIBUTES;
use crate::git::chains::Chains;
use crate::git::merge_tree::{Asked, MergeTree, Merged, Pick};
use crate::git::object::quote_path;
use crate::git::program::ProgramError;
use crate::git::sign::{SignError, Signer};
use crate::git::trouble::{self, Trouble};
use crate::git::version::Version;
use crate::git::{GitError, Repository};
use crate::ids::{CommitId, ObjectId};
use crate::interrupt::Interrupt;

/// Rebases with git's own merge. All branches take their next commit before one of them takes its second, so that few
/// processes of git merge many commits.
pub struct MergeTreeEngine<'a> {
    repository: &'a Repository,
    /// Asked for when the first commit is merged.
    merge_tree: OnceCell<MergeTree<'a>>,
    trees: Trees<'a>,
    upstream: Upstream<'a>,
    interrupt: Interrupt,
    committer: Committer,
    /// Whether commits are signed; not known before the first one is made.
    signs: Option<bool>,
    signer: Option<Signer>,
    /// What became of commits. Branches that share commits share what they become, even if a signature would make it another
    /// each time.
    picked: HashMap<Pick, Picked>,
    /// The trees of commits.
    tree_of: RefCell<HashMap<CommitId, ObjectId>>,
}

/// What became of a commit.
#[derive(Debug, Clone)]
enum Picked {
    Commit(CommitId),
    Dropped,
    Conflict(Vec<String>),
    Left(Skip),
}

/// A branch of which something has to be picked.
struct Replay<'r> {
    request: &'r Request,
    /// Where its verdict belongs.
    place: usize,
    steps: Vec<Step>,
    /// How many of these are done.
    done: usize,
    head: CommitId,
    /// A commit, and one that has the same attributes: where the branch stood when they were last asked for.
    attributes: (CommitId, CommitId),
    dropped: Vec<CommitId>,
    rewritten: Vec<(CommitId, CommitId)>,
}

/// How far a branch has come.
enum Progress {
    Ended(Verdict),
    /// Git has to merge this.
    Waits(Asked),
}

/// Why a branch could not be judged.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("git is too old: it is {0}")]
    TooOld(Version),
    #[error(transparent)]
    Git(#[from] GitError),
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl<'a> MergeTreeEngine<'a> {
    /// An engine for this repository.
    pub fn new(repository: &'a Repository, committer: Committer) -> Self {
        Self {
            repository,
            merge_tree: OnceCell::new(),
            trees: Trees::new(repository),
            upstream: Upstream::new(repository),
            interrupt: Interrupt::default(),
            committer,
            signs: None,
            signer: None,
            picked: HashMap::new(),
            tree_of: RefCell::default(),
        }
    }

    /// The same for as long as the user has not asked to stop. What is not judged then has failed.
    #[must_use]
    pub fn until(mut self, interrupt: &Interrupt) -> Self {
        self.interrupt = interrupt.clone();
        self
    }

    /// The same for verdicts alone: without signatures, which may ask for a passphrase, the new commits are worth
    /// nothing where signatures are wanted.
    #[must_use]
    pub fn for_check(mut self) -> Self {
        self.signs = Some(false);
        self
    }

    /// Plans these together, or fewer at once where something of one of them hinders all.
    fn plan_each<'r>(
        &mut self,
        requests: &[(usize, &'r Request)],
    ) -> Result<(Verdicts, Vec<Replay<'r>>), RebaseError> {
        match (self.plan_all(requests), requests) {
            (Ok(planned), _) => Ok(planned),
            // What was ended by Ctrl-C says nothing of any branch.
            (Err(_), _) if self.interrupt.check().is_err() => Err(stopped()),
            (Err(failure), [(place, _)]) => {
                Ok((vec![(*place, Verdict::Skipped(failed(failure)?))], Vec::new()))
            }
            (Err(_), _) => {
                let (one, other) = requests.split_at(requests.len() / 2);
                let (mut verdicts, mut replays) = self.plan_each(one)?;
                let (more, others) = self.plan_each(other)?;
                verdicts.extend(more);
                replays.extend(others);
                Ok((verdicts, replays))
            }
        }
    }

    /// What can be said without a merge, and what has to be picked for the others. All requests have one upstream.
    fn plan_all<'r>(
        &mut self,
        requests: &[(usize, &'r Request)],
    ) -> Result<(Verdicts, Vec<Replay<'r>>), Failure> {
        let Some((_, first)) = requests.first() else { return Ok((Verdicts::new(), Vec::new())) };
        let found = Version::of_git().map_err(GitError::from)?;
        if found < Version::OLDEST {
            return Err(Failure::TooOld(found));
        }
        let tips: Vec<CommitId> = requests.iter().map(|(_, request)| request.tip).collect();
        let own = history::own(self.repository, first.upstream, &tips)?;
        let (mut verdicts, mut replays) = (Verdicts::new(), Vec::new());
        for (place, request) in requests {
            match self.plan(request, &own)? {
                Ok(steps) => replays.push(Replay::new(*place, request, steps)),
                Err(verdict) => verdicts.push((*place, verdict)),
            }
        }
        let chains: Vec<&[Step]> = replays.iter().map(|replay| &replay.steps[..]).collect();
        let there = self.upstream.has_already(first.upstream, &chains)?;
        for replay in &mut replays {
            let Request { tip, upstream, onto, .. } = replay.request;
            let mut is_taken_back = false;
            for commit in there.had_at_once(*tip) {
                // What another history has had says nothing of where the branch is to stand.
                is_taken_back |= upstream == onto || self.repository.is_ancestor(*commit, *onto)?;
            }
            for step in &mut replay.steps {
                step.is_there = is_taken_back || there.has(step.commit);
            }
        }
        Ok((verdicts, replays))
    }

    /// What has to be picked of a branch, or the verdict that needs no pick.
    fn plan(&self, request: &Request, own: &Own) -> Result<Result<Vec<Step>, Verdict>, Failure> {
        let skipped = |skip| Ok(Err(Verdict::Skipped(skip)));
        if let Some(commit) = history::unresolved(self.repository, request.tip, own)? {
            return skipped(Skip::Unresolved(commit));
        }
        match plan(request.tip, request.onto, own) {
            Plan::Landed => skipped(Skip::Landed),
            Plan::Current => Ok(Err(Verdict::Current)),
            // What is cut off cannot be told from what the branch added.
            Plan::Merges(_) | Plan::Unrelated(_) if self.is_cut_off(request)? => skipped(Skip::cut_off()),
            Plan::Merges(merge) => match self.repository.edited_merge(request.tip, &[request.upstream]) {
                Err(error @ GitError::MergeTimeLimit { .. }) => skipped(Skip::Failed(error.to_string())),
                edited => skipped(edited?.map_or(Skip::Merges(merge), Skip::EditedMerge)),
            },
            Plan::Unrelated(root) => Ok(Err(self.unrelated(root)?)),
            Plan::Pick(steps) => Ok(Ok(steps)),
        }
    }

    /// Whether a clone without the beginning of history has nothing that a branch and what it is rebased on have in common.
    fn is_cut_off(&self, request: &Request) -> Result<bool, GitError> {
        Ok(self.repository.is_shallow()
            && !history::are_related(self.repository, request.upstream, request.tip)?)
    }

    /// A commit without parents, unless it is only that they are not here.
    fn unrelated(&self, root: CommitId) -> Result<Verdict, Failure> {
        if let Some(parent) = self.repository.commit(root)?.parents.first() {
            return Err(GitError::Missing { id: parent.0, shallow: true }.into());
        }
        Ok(Verdict::Skipped(Skip::Unrelated(root)))
    }

    /// Picks all that has to be picked.
    fn replay(&mut self, mut open: Vec<Replay>) -> Result<Verdicts, RebaseError> {
        let mut verdicts = Verdicts::new();
        while !open.is_empty() {
            let (mut wanted, mut asked) = (Vec::new(), HashSet::new());
            let mut waiting = Vec::new();
            for mut replay in open {
                let progress = self.advance(&mut replay);
                let left = |failure| failed(failure).map(|skip| Progress::Ended(Verdict::Skipped(skip)));
                match progress.or_else(left)? {
                    Progress::Ended(verdict) => verdicts.push((replay.place, verdict)),
                    Progress::Waits((pick, attributes)) => {
                        wanted.extend(asked.insert(pick).then_some((pick, attributes)));
                        waiting.push(replay);
                    }
                }
            }
            for ((pick, _), merged) in wanted.iter().zip(self.merge_all(&wanted)?) {
                let picked = merged.map_err(Failure::from).and_then(|merged| self.apply(*pick, merged));
                let picked = picked.or_else(left)?;
                self.picked.insert(*pick, picked);
            }
            open = waiting;
        }
        Ok(verdicts)
    }

    /// Takes a branch as far as it comes without git's merge.
    fn advance(&mut self, replay: &mut Replay) -> Result<Progress, Failure> {
        while let Some(step) = replay.steps.get(replay.done).copied() {
            let pick = Pick { commit: step.commit, parent: step.parent, onto: replay.head };
            let picked = match self.picked.get(&pick) {
                _ if step.is_there => Picked::Dropped,
                // Like git, which leaves alone what stands right already.
                _ if step.parent == replay.head => Picked::Commit(step.commit),
                Some(picked) => picked.clone(),
                None => match self.pick_in_process(pick)? {
                    Some(picked) => picked,
                    None => return Ok(Progress::Waits((pick, self.attributes(replay)?))),
                },
            };
            if let Some(verdict) = replay.take(step.commit, picked) {
                return Ok(Progress::Ended(verdict));
            }
        }
        Ok(Progress::Ended(replay.end()))
    }

    /// A commit that has the attributes of where a branch has come to: mostly no commit of a branch changes any, and then all
    /// branches are merged as base says.
    fn attributes(&self, replay: &mut Replay) -> Result<CommitId, GitError> {
        let ((mut of, looked), head) = (replay.attributes, replay.head);
        // Not what its commits change: a merge may bring that elsewhere, where base has renamed something.
        if looked != head {
            let trees = [self.tree(looked)?, self.tree(head)?];
            if self.trees.differ_in(trees.map(Some), ATTRIBUTES)? {
                of = head;
            }
        }
        replay.attributes = (of, head);
        Ok(of)
    }

    /// Picks a commit where nothing has to be merged.
    fn pick_in_process(&mut self, pick: Pick) -> Result<Option<Picked>, Failure> {
        let [base, ours, theirs] = self.trees(pick)?;
        let Some(tree) = self.trees.merge(base, ours, theirs)? else { return Ok(None) };
        let picked = self.apply(pick, Merged::Clean(tree))?;
        self.picked.insert(pick, picked.clone());
        Ok(Some(picked))
    }

    /// What becomes of a commit whose change was merged.
    fn apply(&mut self, pick: Pick, merged: Merged) -> Result<Picked, Failure> {
        let tree = match merged {
            Merged::Clean(tree) => tree,
            Merged::Conflict(paths) => {
                return Ok(Picked::Conflict(paths.iter().map(|path| quote_path(path)).collect()));
            }
        };
        let [parent_tree, head_tree, old_tree] = self.trees(pick)?;
        let born_empty = old_tree == parent_tree;
        if tree == head_tree && !born_empty {
            return Ok(Picked::Dropped);
        }
        let old = self.repository.commit(pick.commit)?;
        let mut new = rewritten(old, pick.onto, tree, &self.committer);
        let null_id = self.repository.null_id();
        if let Some(signer) = self.signer()? {
            sign::sign(signer, &mut new, null_id)?;
        }
        let new = self.repository.write_commit(&new)?;
        self.tree_of.borrow_mut().insert(new, tree);
        Ok(Picked::Commit(new))
    }

    /// The trees of a pick: what was changed, what is to be, and what was made of the first.
    fn trees(&self, pick: Pick) -> Result<[ObjectId; 3], GitError> {
        Ok([self.tree(pick.parent)?, self.tree(pick.onto)?, self.tree(pick.commit)?])
    }

    fn tree(&self, commit: CommitId) -> Result<ObjectId, GitError> {
        if let Some(tree) = self.tree_of.borrow().get(&commit) {
            return Ok(*tree);
        }
        let tree = self.repository.commit(commit)?.tree;
        self.tree_of.borrow_mut().insert(commit, tree);
        Ok(tree)
    }

    fn merge_all(&self, picks: &[Asked]) -> Result<Vec<Result<Merged, GitError>>, GitError> {
        if picks.is_empty() {
            return Ok(Vec::new());
        }
        let merge_tree = match self.merge_tree.get() {
            Some(merge_tree) => merge_tree,
            None => {
                let merge_tree = MergeTree::new(self.repository)?.until(&self.interrupt);
                self.merge_tree.get_or_init(|| merge_tree)
            }
        };
        Ok(merge_tree.pick_all(picks))
    }

    fn signer(&mut self) -> Result<Option<&Signer>, SignError> {
        let signs = match self.signs {
            Some(signs) => signs,
            None => *self.signs.insert(Signer::wanted()?),
        };
        if signs && self.signer.is_none() {
            self.signer = Some(Signer::from_config(self.repository, sign::NAMESPACE)?);
        }
        Ok(self.signer.as_ref())
    }
}

/// Verdicts and where they belong.
type Verdicts = Vec<(usize, Verdict)>;

impl<'r> Replay<'r> {
    fn new(place: usize, request: &'r Request, steps: Vec<Step>) -> Self {
        let (dropped, rewritten) = (Vec::new(), Vec::new());
        let (head, attributes) = (request.onto, (request.onto, request.onto));
        Self { request, place, steps, done: 0, head, attributes, dropped, rewritten }
    }

    /// Takes what became of the next commit; a verdict where that is the end.
    fn take(&mut self, commit: CommitId, picked: Picked) -> Option<Verdict> {
        match picked {
            Picked::Commit(new) => {
                if new != commit {
                    self.rewritten.push((commit, new));
                }
                self.head = new;
            }
            Picked::Dropped => self.dropped.push(commit),
            Picked::Conflict(paths) => return Some(Verdict::Broken(Conflict { commit, paths })),
            Picked::Left(skip) => return Some(Verdict::Skipped(skip)),
        }
        self.done += 1;
        None
    }

    /// The verdict when all is picked.
    fn end(&mut self) -> Verdict {
        let (dropped, rewritten) = (std::mem::take(&mut self.dropped), std::mem::take(&mut self.rewritten));
        match self.head {
            head if head == self.request.onto => Verdict::Skipped(Skip::Landed),
            head if head == self.request.tip => Verdict::Current,
            tip => Verdict::Rebased(Rebased { tip, dropped, rewritten }),
        }
    }
}

/// What a failure means for the branch that it concerns, unless it concerns all.
fn failed(failure: Failure) -> Result<Skip, RebaseError> {
    let skip = |why: &dyn std::fmt::Display| Skip::Failed(one_line(&why.to_string()));
    match failure {
        Failure::TooOld(found) => Err(RebaseError::TooOld { found }),
        Failure::Git(error @ GitError::Program(ProgramError::Start(_) | ProgramError::Stopped { .. })) => {
            Err(error.into())
        }
        Failure::Git(error @ GitError::Missing { shallow: true, .. }) => Ok(Skip::Shallow(error.to_string())),
        Failure::Git(error) => match trouble::promised(error) {
            // The next branch would fare no better, and none is judged by that.
            error @ GitError::Promised { .. } => Err(error.into()),
            error if Trouble::of(&error.to_string()).is_some() => Err(error.into()),
            error => Ok(skip(&error)),
        },
        failure => Ok(skip(&failure)),
    }
}

/// The end of all, because the user wants it.
fn stopped() -> RebaseError {
    GitError::from(ProgramError::Stopped { command: "git".to_owned() }).into()
}

/// The same for a commit, which may be of several branches.
fn left(failure: Failure) -> Result<Picked, RebaseError> {
    failed(failure).map(Picked::Left)
}

/// A reason as it can stand in one line of output or of a note, whatever a program said in many. gpg's status is not
/// for people.
fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("[GNUPG:]"));
    lines.collect::<Vec<_>>().join("; ")
}

impl Engine for MergeTreeEngine<'_> {
    fn rebase(&mut self, requests: &[Request]) -> Result<Vec<Verdict>, RebaseError> {
        let mut verdicts: Vec<Option<Verdict>> = vec![None; requests.len()];
        let mut by_upstream: BTreeMap<CommitId, Vec<(usize, &Request)>> = BTreeMap::new();
        for (place, request) in requests.iter().enumerate() {
            let is_current = request.upstream == request.onto
                && Chains::on(request.onto).reach(self.repository, request.tip);
            if is_current {
                verdicts[place] = Some(Verdict::Current);
            } else {
                by_upstream.entry(request.upstream).or_default().push((place, request));
            }
        }
        let mut open = Vec::new();
        for group in by_upstream.values() {
            let (judged, replays) = self.plan_each(group)?;
            judged.into_iter().for_each(|(place, verdict)| verdicts[place] = Some(verdict));
            open.extend(replays);
        }
        for (place, verdict) in self.replay(open)? {
            verdicts[place] = Some(verdict);
        }
        Ok(verdicts.into_iter().flatten().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line() {
        let said = "'gpg' failed: gpg: no key\n[GNUPG:] FAILURE sign 17\n\n gpg: signing failed\n";
        assert_eq!(one_line(said), "'gpg' failed: gpg: no key; gpg: signing failed");
    }
}
