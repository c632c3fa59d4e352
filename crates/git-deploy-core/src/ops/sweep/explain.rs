//! Why branches cannot be rebased cleanly: which commit of a branch meets which commits of base, in which paths and hunks.
//!
//! What git's merge found is taken as it is. What both sides did there is told beside it, as diffs from what the branch's commit
//! was made on: where one is not understood, less is said.

mod hunks;
mod side;

use std::collections::HashSet;

use self::hunks::Hunk;
use self::side::Side;
use super::{Fate, Judge, Outcome, Sweep, SweepError, SweepRequest, upstream};
use crate::git::object::unquote_path;
use crate::git::program::Call;
use crate::git::{GitError, Repository};
use crate::ids::{CommitId, RefName};
use crate::note::Note;
use crate::ops::{Interrupt, Observer};
use crate::rebase::{Committer, Conflict, Engine, MergeTreeEngine, RebaseError, Request, Skip, Verdict};
use crate::state::State;

/// How many paths are explained: whoever has more to mend looks at all of it.
const MOST_PATHS: usize = 20;

/// In how many hunks of a file is looked for who has made them.
const MOST_HUNKS: usize = 20;

/// How many commits of base are told that have touched a path, where it is not known which of them matter.
const FEW: usize = 3;

/// A conflict of a branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// The branch.
    pub branch: RefName,
    /// Its commit that does not apply.
    pub commit: Told,
    /// Where it does not.
    pub paths: Vec<Met>,
    /// In how many more it does not.
    pub more: usize,
    /// What the branch was before it was found to be broken, where somebody has decided that.
    pub was: Option<State>,
}

/// A commit, as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Which it is.
    pub id: CommitId,
    /// The first line of its message.
    pub subject: String,
}

/// A path in which two commits meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Met {
    /// The path, quoted as git quotes paths.
    pub path: String,
    /// What the branch's commit does with it.
    pub ours: Did,
    /// What base has done with it since.
    pub base: Did,
    /// The commits of base that did that, the latest first.
    pub by: Vec<Told>,
    /// Whether each of these did. Else one of them may have done so.
    pub is_known: bool,
}

/// What one side did with a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Did {
    /// In words, as in `deletes it`.
    pub what: &'static str,
    /// Whether it was a file, and is one still.
    pub is_file: bool,
    /// Its changes that meet those of the other side: lines as git prints them, each beginning with its place.
    pub hunks: Vec<String>,
}

/// Says what would become of branches, and why those that cannot be rebased cleanly cannot.
///
/// # Errors
/// When nothing can be judged.
pub fn explain(
    repository: &Repository,
    branches: Vec<RefName>,
    observer: &dyn Observer,
    interrupt: &Interrupt,
) -> Result<(Sweep, Vec<Explained>), SweepError> {
    let aside = repository.with_objects_aside()?;
    let judge = Judge::checking(repository, &aside, observer, interrupt)?;
    let request = SweepRequest { branches, check: true };
    let (plans, outcomes) = judge.judge(&request)?;
    let sweep = judge.sweep(plans.iter().map(super::Plan::outcome).chain(outcomes));
    let base_tip = judge.view.settings.base_tip(repository)?;
    let mut explained = Vec::new();
    for plan in &plans {
        let asked = Asked { aside: &aside, base_tip, interrupt, outcome: plan.outcome() };
        explained.extend(asked.explained(plan.subject.note.as_ref())?);
    }
    Ok((sweep, explained))
}

/// What is to be explained.
struct Asked<'a> {
    aside: &'a Repository,
    base_tip: CommitId,
    interrupt: &'a Interrupt,
    outcome: Outcome,
}

impl Asked<'_> {
    fn explained(&self, note: Option<&Note>) -> Result<Option<Explained>, SweepError> {
        let Fate::Broken { paths, .. } = &self.outcome.fate else { return Ok(None) };
        let standing = note.filter(|note| note.state != State::Broken);
        let upstream = upstream(self.aside, standing, self.base_tip)?;
        let Verdict::Broken(conflict) = self.rebase(upstream, self.outcome.new)? else { return Ok(None) };
        // It may be one with what the remote made of the branch.
        if conflict.paths != *paths {
            return Ok(None);
        }
        let commit = self.aside.commit(conflict.commit)?;
        let [parent] = commit.parents[..] else { return Ok(None) };
        let head = match self.rebase(upstream, parent)? {
            Verdict::Rebased(rebased) => rebased.tip,
            Verdict::Current => parent,
            // Base has all that comes before.
            Verdict::Skipped(Skip::Landed) => self.base_tip,
            Verdict::Broken(_) | Verdict::Skipped(_) => return Ok(None),
        };
        Ok(Some(Explained {
            branch: self.outcome.branch.clone(),
            commit: self.told(conflict.commit)?,
            paths: self.met(&conflict, parent, head)?,
            more: conflict.paths.len().saturating_sub(MOST_PATHS),
            was: note.and_then(Note::decision).map(State::from),
        }))
    }

    fn rebase(&self, upstream: CommitId, tip: CommitId) -> Result<Verdict, RebaseError> {
        let (name, onto) = (self.outcome.branch.clone(), self.base_tip);
        let engine = MergeTreeEngine::new(self.aside, Committer::Keep).for_check();
        let verdicts = engine.until(self.interrupt).rebase(&[Request { name, tip, upstream, onto }])?;
        Ok(verdicts.into_iter().next().unwrap_or(Verdict::Current))
    }

    fn told(&self, id: CommitId) -> Result<Told, GitError> {
        Ok(Told { id, subject: self.aside.commit(id)?.subject() })
    }

    /// What both sides did in each path.
    fn met(&self, conflict: &Conflict, parent: CommitId, head: CommitId) -> Result<Vec<Met>, SweepError> {
        let ours = side::changed(self.aside, parent, conflict.commit)?;
        let base = side::changed(self.aside, parent, head)?;
        let fork = self.aside.merge_base(conflict.commit, self.base_tip)?;
        let mut met = Vec::new();
        for quoted in conflict.paths.iter().take(MOST_PATHS) {
            let path = unquote_path(quoted).unwrap_or_else(|| quoted.clone().into_bytes());
            let (ours, base) = side::of_both(&path, &ours, &base);
            let (our_hunks, base_hunks) = hunks::meeting(&self.hunks(ours)?, &self.hunks(base)?);
            let (by, is_known) = self.by(base, &base_hunks, head, fork)?;
            met.push(Met {
                path: quoted.clone(),
                ours: did(ours, &our_hunks),
                base: did(base, &base_hunks),
                by: by.into_iter().map(|id| self.told(id)).collect::<Result<_, _>>()?,
                is_known,
            });
        }
        Ok(met)
    }

    /// How a file differs, where both versions are text.
    fn hunks(&self, side: Option<&Side>) -> Result<Vec<Hunk>, SweepError> {
        let Some([old, new]) = side.and_then(Side::blobs) else { return Ok(Vec::new()) };
        let call = self.aside.git(["diff", "--unified=0", "--no-color", "--no-ext-diff", "--no-textconv"])?;
        let printed = self.run(&call.args([old.to_string(), new.to_string()]))??;
        Ok(hunks::read(&String::from_utf8_lossy(&printed)))
    }

    /// What a program has printed. Ctrl-C reaches it, too, and what that ends says nothing.
    fn run(&self, call: &Call) -> Result<Result<Vec<u8>, GitError>, SweepError> {
        let printed = call.run();
        self.interrupt.check()?;
        Ok(printed.map_err(GitError::from))
    }

    /// The commits of base that made these changes, the latest first, and whether each of them did. Else those that have touched
    /// the file, of which only the latest are told.
    fn by(
        &self,
        base: Option<&Side>,
        hunks: &[Hunk],
        head: CommitId,
        fork: Option<CommitId>,
    ) -> Result<(Vec<CommitId>, bool), SweepError> {
        let Some(base) = base else { return Ok((Vec::new(), true)) };
        let call = self.aside.git_at_top(["--literal-pathspecs", "rev-list", "--topo-order"])?;
        let call = call.arg(self.base_tip.to_string()).args(fork.map(|fork| format!("^{fork}")));
        let listed = self.run(&call.arg("--").args(base.paths_os()))??;
        let mut touched: Vec<CommitId> = ids(&listed).collect();
        if let Some(blamed) = self.blamed(base, hunks, head, fork)?
            && touched.iter().any(|commit| blamed.contains(commit))
        {
            touched.retain(|commit| blamed.contains(commit));
            return Ok((touched, true));
        }
        let is_one = touched.len() == 1;
        touched.truncate(FEW);
        Ok((touched, is_one))
    }

    /// The commits that put there what stands there in these hunks. Of a line that is not there any more nobody says who took it
    /// away.
    fn blamed(
        &self,
        base: &Side,
        hunks: &[Hunk],
        head: CommitId,
        fork: Option<CommitId>,
    ) -> Result<Option<HashSet<CommitId>>, SweepError> {
        let lines: Option<Vec<String>> = hunks.iter().map(Hunk::lines_now).collect();
        let Some(lines) = lines.filter(|lines| (1..=MOST_HUNKS).contains(&lines.len())) else {
            return Ok(None);
        };
        let call = self.aside.git_at_top(["blame", "--porcelain", "--no-textconv"])?;
        let call = lines.iter().fold(call, |call, lines| call.arg("-L").arg(lines));
        let call = call.arg(head.to_string()).args(fork.map(|fork| format!("^{fork}")));
        // It may not know what the user has named for it.
        let printed = self.run(&call.arg("--").arg(base.path_os()))?.ok();
        Ok(printed.map(|printed| hunks::blamed(&printed).collect()))
    }
}

fn did(side: Option<&Side>, hunks: &[Hunk]) -> Did {
    Did {
        what: side.map_or("", Side::what),
        is_file: side.is_some_and(|side| side.blobs().is_some()),
        hunks: hunks.iter().map(|hunk| hunk.text.clone()).collect(),
    }
}

/// Commits that git lists, one a line.
fn ids(listed: &[u8]) -> impl Iterator<Item = CommitId> {
    let lines = listed.split(|byte| *byte == b'\n');
    lines.filter_map(|line| std::str::from_utf8(line).ok()?.parse().ok())
}
