//! What became of a branch, or of a commit: where it stands, and each attempt to deploy it.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use crate::attempt::Attempt;
use crate::branch::Branch;
use crate::config::deploy_toml::nearest;
use crate::git::GitError;
use crate::git::notes::NotesError;
use crate::ids::{CommitId, DeploymentId, EnvironmentName, RefName};
use crate::ledger::Deployment;
use crate::ops::brought::{After, Stretch};
use crate::ops::under_way::{UnderWayError, attempt};
use crate::ops::view::{Side, View, ViewError};

/// Who a story is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A branch, be it there or gone.
    Branch(RefName),
    /// A commit that was deployed by naming it.
    Commit(CommitId),
}

/// What is known of it.
#[derive(Debug)]
pub struct Story {
    /// Who it is about.
    pub subject: Subject,
    /// The branch as it counts, or ours where it was not pushed; none if it is gone.
    pub branch: Option<Branch>,
    /// Whether it is one of ours alone, which is deployed only when it is pushed.
    pub unpushed: bool,
    /// What is wrong with its note.
    pub malformed: Option<NotesError>,
    /// What became of it each time that it was deployed, newest first.
    pub past: Vec<Attempted>,
}

/// One deployment, and what is left of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempted {
    /// What the ledger has.
    pub deployment: Deployment,
    /// The commit that was approved, where that was rebased to become the one that was deployed.
    pub approved: Option<CommitId>,
    /// Where what has landed is; none for what has not.
    pub landed: Option<Landed>,
    /// The way back that somebody has gone from it, if that is what stands there now.
    pub back: Option<DeploymentId>,
}

/// Where something is that has landed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Landed {
    /// On base.
    OnBase,
    /// Base has taken it back since.
    TakenBack,
}

/// Nobody knows what is meant.
#[derive(Debug, thiserror::Error)]
pub enum StoryError {
    /// There is nothing of that name, here, on the remote or in the ledger.
    #[error(
        "nothing is known of '{word}': it is no branch, was never deployed, and is no commit of a branch that was"
    )]
    NotKnown {
        /// The word.
        word: String,
        /// A name that may have been meant.
        near: Option<String>,
    },
    /// It is what the others land on.
    #[error("'{}' is the base that branches land on", .0.short())]
    Base(RefName),
    /// Something cannot be read.
    #[error(transparent)]
    View(#[from] ViewError),
    /// An attempt cannot be read.
    #[error(transparent)]
    UnderWay(#[from] UnderWayError),
    /// Git failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

/// Who is meant by a word: a branch that is there or was deployed, else those that a commit belongs to. The current branch
/// where there is no word.
///
/// # Errors
/// When nobody can be meant.
pub fn meant(view: &View<'_>, word: Option<&str>, under_way: &[Attempt]) -> Result<Vec<Subject>, StoryError> {
    match view.named_branch(word) {
        Ok(name) if name == view.settings.base => return Err(StoryError::Base(name)),
        Ok(name) if is_known(view, &name, under_way)? => return Ok(vec![Subject::Branch(name)]),
        Err(error) if word.is_none() => return Err(error.into()),
        // It may be a commit.
        Ok(_) | Err(_) => {}
    }
    let word = word.unwrap_or_default();
    let found = match view.repository.find_commit(word)? {
        Some(commit) => of_commit(view, commit)?,
        None => Vec::new(),
    };
    if found.is_empty() {
        let short = word.strip_prefix("refs/heads/").unwrap_or(word);
        return Err(StoryError::NotKnown { word: word.to_owned(), near: nearest(short, &names(view)?) });
    }
    Ok(found)
}

fn is_known(view: &View<'_>, name: &RefName, under_way: &[Attempt]) -> Result<bool, GitError> {
    let is_it = |branch: &Option<RefName>| branch.as_ref() == Some(name);
    Ok(view.branch_tip(name)?.is_some()
        || view.ledger()?.deployments.iter().any(|deployment| is_it(&deployment.branch))
        || under_way.iter().any(|attempt| is_it(&attempt.branch)))
}

/// The names that could have been meant.
fn names(view: &View<'_>) -> Result<Vec<String>, StoryError> {
    let mut names: BTreeSet<String> =
        view.heads_by_tip()?.into_values().flatten().map(|name| name.short().to_owned()).collect();
    let deployed = view.ledger()?.deployments.iter().filter_map(|deployment| deployment.branch.as_ref());
    names.extend(deployed.map(|name| name.short().to_owned()));
    Ok(names.into_iter().collect())
}

/// The branches that have a commit as their own, or the deployment that brought it.
fn of_commit(view: &View<'_>, commit: CommitId) -> Result<Vec<Subject>, StoryError> {
    let mut branches: BTreeSet<RefName> = view.heads_on(commit)?.into_iter().collect();
    // A rebase leaves the note where it was decided.
    if let Ok(Some(note)) = view.notes.get(commit) {
        branches.extend(note.refs);
    }
    branches.remove(&view.settings.base);
    let ledger = view.ledger()?;
    let of_it: Vec<&Deployment> =
        ledger.deployments.iter().filter(|deployment| deployment.commit == commit).collect();
    branches.extend(of_it.iter().filter_map(|deployment| deployment.branch.clone()));
    let mut found: Vec<Subject> = branches.into_iter().map(Subject::Branch).collect();
    if of_it.iter().any(|deployment| deployment.branch.is_none()) {
        found.push(Subject::Commit(commit));
    }
    if found.is_empty() {
        found.extend(approved_as(view, commit)?);
    }
    if found.is_empty() {
        found.extend(brought_by(view, commit)?);
    }
    Ok(found)
}

/// The branch that was deployed from a commit which a rebase has left since. Nothing else may name that any more.
fn approved_as(view: &View<'_>, commit: CommitId) -> Result<Option<Subject>, StoryError> {
    for deployment in &view.ledger()?.deployments {
        let Some(branch) = &deployment.branch else { continue };
        if attempt(view, &deployment.id)?.is_some_and(|attempt| attempt.approved == commit) {
            return Ok(Some(Subject::Branch(branch.clone())));
        }
    }
    Ok(None)
}

/// Whose landing brought a commit onto base: the first that has it. Each has all that those before it have.
fn brought_by(view: &View<'_>, commit: CommitId) -> Result<Option<Subject>, GitError> {
    let mut landings: Vec<&Deployment> =
        view.ledger()?.deployments.iter().filter(|deployment| deployment.landed()).collect();
    landings.sort_by_key(|deployment| deployment.id.number);
    let (mut without, mut with) = (0, landings.len());
    while without < with {
        let middle = (without + with) / 2;
        match view.repository.is_ancestor(commit, landings[middle].commit)? {
            true => with = middle,
            false => without = middle + 1,
        }
    }
    Ok(landings.get(with).map(|landing| match &landing.branch {
        Some(branch) => Subject::Branch(branch.clone()),
        None => Subject::Commit(landing.commit),
    }))
}

/// What is known of somebody.
///
/// # Errors
/// When it cannot be read.
pub fn story(view: &View<'_>, subject: Subject) -> Result<Story, StoryError> {
    let ledger = view.ledger()?;
    let mut past: Vec<&Deployment> = ledger
        .deployments
        .iter()
        .filter(|deployment| match &subject {
            Subject::Branch(name) => deployment.branch.as_ref() == Some(name),
            Subject::Commit(commit) => deployment.branch.is_none() && deployment.commit == *commit,
        })
        .collect();
    past.sort_by_key(|deployment| Reverse((deployment.finished, deployment.id.number)));
    let (history, backs) = (History::of(view, &past)?, backs(view, &past)?);
    let attempted = |deployment: &Deployment| attempted(view, deployment, &history, &backs);
    let past = past.into_iter().map(attempted).collect::<Result<_, _>>()?;
    let (mut branch, mut unpushed, mut malformed) = (None, false, None);
    if let Subject::Branch(name) = &subject {
        match counting(view, name) {
            Ok(Some(found)) => (branch, unpushed) = (Some(found.0), found.1),
            Ok(None) => {}
            Err(ViewError::Notes(error @ NotesError::Note { .. })) => {
                (branch, malformed) = (Some(view.listed_branch(name)?.0), Some(error));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Story { subject, branch, unpushed, malformed, past })
}

/// The branch as it counts, else ours.
fn counting(view: &View<'_>, name: &RefName) -> Result<Option<(Branch, bool)>, ViewError> {
    if let Some(branch) = view.authority_branch(name)? {
        return Ok(Some((branch, false)));
    }
    match view.branch(name) {
        Ok((branch, side)) => Ok(Some((branch, side == Side::Local))),
        Err(ViewError::NoBranch(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What base has of those that have landed, and what came after the first of them.
struct History {
    landed: Vec<CommitId>,
    after: Option<After>,
}

impl History {
    fn of(view: &View<'_>, past: &[&Deployment]) -> Result<Self, StoryError> {
        let Some(base_tip) = view.base_tip()? else { return Ok(Self { landed: Vec::new(), after: None }) };
        let mut landings: Vec<&Deployment> =
            past.iter().copied().filter(|deployment| deployment.landed()).collect();
        landings.sort_by_key(|deployment| deployment.id.number);
        let mut landed = Vec::new();
        for landing in landings {
            if view.repository.is_ancestor(landing.commit, base_tip)? {
                landed.push(landing.commit);
            }
        }
        let after = landed.first().map(|first| After::of(view, *first, base_tip)).transpose()?;
        Ok(Self { landed, after })
    }
}

/// What somebody has gone back from where these were deployed, each with the way back that stands there now.
fn backs(view: &View<'_>, past: &[&Deployment]) -> Result<HashMap<DeploymentId, DeploymentId>, ViewError> {
    let environments: BTreeSet<&EnvironmentName> =
        past.iter().map(|deployment| &deployment.environment).collect();
    let mut backs = HashMap::new();
    for environment in environments {
        if let Some((back, undone)) = view.gone_back_from(environment)? {
            backs.extend(undone.into_iter().map(|undone| (undone.id.clone(), back.id.clone())));
        }
    }
    Ok(backs)
}

fn attempted(
    view: &View<'_>,
    deployment: &Deployment,
    history: &History,
    backs: &HashMap<DeploymentId, DeploymentId>,
) -> Result<Attempted, StoryError> {
    let approved = attempt(view, &deployment.id)?.map(|attempt| attempt.approved);
    Ok(Attempted {
        approved: approved.filter(|approved| *approved != deployment.commit),
        landed: if deployment.landed() { landed(view, deployment, history)? } else { None },
        back: backs.get(&deployment.id).cloned(),
        deployment: deployment.clone(),
    })
}

fn landed(view: &View<'_>, deployment: &Deployment, history: &History) -> Result<Option<Landed>, StoryError> {
    let Some(after) = history.after.as_ref().filter(|_| history.landed.contains(&deployment.commit)) else {
        return Ok(None);
    };
    let is_there = Stretch::of(view, deployment)?.is_left(view, after)?;
    Ok(Some(if is_there { Landed::OnBase } else { Landed::TakenBack }))
}
