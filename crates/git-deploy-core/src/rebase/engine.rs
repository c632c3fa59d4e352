//! The engine that asks `git merge-tree` for each commit that both sides changed something for.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};

use super::plan::{Plan, Step, plan, suspects, upstream_already};
use super::rewrite::rewritten;
use super::{Committer, Conflict, Engine, RebaseError, Rebased, Request, Skip, Verdict, history, sign};
use crate::git::chains::Chains;
use crate::git::merge_tree::{MergeTree, Merged};
use crate::git::object::quote_path;
use crate::git::program::ProgramError;
use crate::git::sign::{SignError, Signer};
use crate::git::trouble::{self, Trouble};
use crate::git::version::Version;
use crate::git::{GitError, Repository};
use crate::ids::{CommitId, ObjectId};

/// Rebases with one process of git for each pick that is not trivial.
pub struct MergeTreeEngine<'a> {
    repository: &'a Repository,
    /// Asked for when the first commit is merged.
    merge_tree: OnceCell<MergeTree<'a>>,
    committer: Committer,
    /// Whether commits are signed; not known before the first one is made.
    signs: Option<bool>,
    signer: Option<Signer>,
    /// What became of a commit on a new parent. Branches that share commits share what they become, even if a signature
    /// would make it another each time.
    picked: HashMap<(CommitId, CommitId), Picked>,
}

/// What became of a commit.
#[derive(Debug, Clone)]
enum Picked {
    Commit(CommitId),
    Dropped,
    Conflict(Vec<String>),
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
        let (merge_tree, picked) = (OnceCell::new(), HashMap::new());
        Self { repository, merge_tree, committer, signs: None, signer: None, picked }
    }

    /// The same for verdicts alone: without signatures, which may ask for a passphrase, the new commits are worth
    /// nothing where signatures are wanted.
    #[must_use]
    pub fn for_check(mut self) -> Self {
        self.signs = Some(false);
        self
    }

    fn judge(&mut self, request: &Request) -> Result<Verdict, Failure> {
        if request.upstream == request.onto && Chains::on(request.onto).reach(self.repository, request.tip) {
            return Ok(Verdict::Current);
        }
        let found = Version::of_git().map_err(GitError::from)?;
        if found < Version::OLDEST {
            return Err(Failure::TooOld(found));
        }
        let listed = history::list(self.repository, request.upstream, request.tip)?;
        if let Some(commit) = history::unresolved(self.repository, request.tip, &listed)? {
            return Ok(Verdict::Skipped(Skip::Unresolved(commit)));
        }
        let steps = match plan(request.tip, request.onto, &listed) {
            Plan::Landed => return Ok(Verdict::Skipped(Skip::Landed)),
            Plan::Current => return Ok(Verdict::Current),
            // What is cut off cannot be told from what the branch added.
            Plan::Merges(_) | Plan::Unrelated(_) if self.is_cut_off(request)? => {
                return Ok(Verdict::Skipped(Skip::cut_off()));
            }
            Plan::Merges(merge) => {
                let edited = self.repository.edited_merge(request.tip, &[request.upstream])?;
                return Ok(Verdict::Skipped(edited.map_or(Skip::Merges(merge), Skip::EditedMerge)));
            }
            Plan::Unrelated(root) => return self.unrelated(root),
            Plan::Pick(steps) => steps,
        };
        let known = already_upstream(self.repository, &steps, &suspects(&steps, &listed))?;
        self.replay(request, &steps, &known)
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

    fn replay(
        &mut self,
        request: &Request,
        steps: &[Step],
        known: &HashSet<CommitId>,
    ) -> Result<Verdict, Failure> {
        let mut head = request.onto;
        let (mut dropped, mut rewritten) = (Vec::new(), Vec::new());
        for step in steps {
            if known.contains(&step.commit) {
                dropped.push(step.commit);
                continue;
            }
            match self.pick(step, head)? {
                Picked::Commit(new) => {
                    if new != step.commit {
                        rewritten.push((step.commit, new));
                    }
                    head = new;
                }
                Picked::Dropped => dropped.push(step.commit),
                Picked::Conflict(paths) => {
                    return Ok(Verdict::Broken(Conflict { commit: step.commit, paths }));
                }
            }
        }
        Ok(match head {
            head if head == request.onto => Verdict::Skipped(Skip::Landed),
            head if head == request.tip => Verdict::Current,
            tip => Verdict::Rebased(Rebased { tip, dropped, rewritten }),
        })
    }

    fn pick(&mut self, step: &Step, head: CommitId) -> Result<Picked, Failure> {
        // Like git, which leaves alone what stands right already.
        if step.parent == head {
            return Ok(Picked::Commit(step.commit));
        }
        if let Some(picked) = self.picked.get(&(step.commit, head)) {
            return Ok(picked.clone());
        }
        let picked = self.pick_anew(step, head)?;
        self.picked.insert((step.commit, head), picked.clone());
        Ok(picked)
    }

    fn pick_anew(&mut self, step: &Step, head: CommitId) -> Result<Picked, Failure> {
        let old = self.repository.commit(step.commit)?;
        let parent_tree = self.repository.commit(step.parent)?.tree;
        let head_tree = self.repository.commit(head)?.tree;
        let born_empty = old.tree == parent_tree;
        let tree = match self.merge(step, head, [parent_tree, head_tree, old.tree])? {
            Merged::Clean(tree) => tree,
            Merged::Conflict(paths) => {
                return Ok(Picked::Conflict(paths.iter().map(|path| quote_path(path)).collect()));
            }
        };
        if tree == head_tree && !born_empty {
            return Ok(Picked::Dropped);
        }
        let mut new = rewritten(old, head, tree, &self.committer);
        let null_id = self.repository.null_id();
        if let Some(signer) = self.signer()? {
            sign::sign(signer, &mut new, null_id)?;
        }
        Ok(Picked::Commit(self.repository.write_commit(&new)?))
    }

    /// The tree of a commit on another parent: by git, unless only one side changed anything.
    fn merge(&self, step: &Step, head: CommitId, trees: [ObjectId; 3]) -> Result<Merged, GitError> {
        let [base, ours, theirs] = trees;
        if base == ours {
            Ok(Merged::Clean(theirs))
        } else if base == theirs {
            Ok(Merged::Clean(ours))
        } else {
            self.merge_tree()?.pick(step.commit, step.parent, head)
        }
    }

    fn merge_tree(&self) -> Result<&MergeTree<'a>, GitError> {
        if let Some(merge_tree) = self.merge_tree.get() {
            return Ok(merge_tree);
        }
        let merge_tree = MergeTree::new(self.repository)?;
        Ok(self.merge_tree.get_or_init(|| merge_tree))
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

/// The commits that need not be picked. Nothing is compared where git's marks found nothing.
fn already_upstream(
    repository: &Repository,
    steps: &[Step],
    upstream: &[CommitId],
) -> Result<HashSet<CommitId>, GitError> {
    if upstream.is_empty() {
        return Ok(HashSet::new());
    }
    let own = steps.iter().filter(|step| step.suspected).map(|step| step.commit);
    let compared: Vec<CommitId> = upstream.iter().copied().chain(own).collect();
    Ok(upstream_already(steps, upstream, &history::exact_patches(repository, &compared)?))
}

/// A reason as it can stand in one line of output or of a note, whatever a program said in many. gpg's status is not
/// for people.
fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("[GNUPG:]"));
    lines.collect::<Vec<_>>().join("; ")
}

impl Engine for MergeTreeEngine<'_> {
    fn rebase(&mut self, requests: &[Request]) -> Result<Vec<Verdict>, RebaseError> {
        let judge = |request| match self.judge(request) {
            Ok(verdict) => Ok(verdict),
            Err(Failure::TooOld(found)) => Err(RebaseError::TooOld { found }),
            Err(Failure::Git(error @ GitError::Program(ProgramError::Start(_)))) => Err(error.into()),
            Err(Failure::Git(error @ GitError::Missing { shallow: true, .. })) => {
                Ok(Verdict::Skipped(Skip::Shallow(error.to_string())))
            }
            Err(Failure::Git(error)) => match trouble::promised(error) {
                // The next branch would fare no better, and none is judged by that.
                error @ GitError::Promised { .. } => Err(error.into()),
                error if Trouble::of(&error.to_string()).is_some() => Err(error.into()),
                error => Ok(Verdict::Skipped(Skip::Failed(one_line(&error.to_string())))),
            },
            Err(failure) => Ok(Verdict::Skipped(Skip::Failed(one_line(&failure.to_string())))),
        };
        requests.iter().map(judge).collect()
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
