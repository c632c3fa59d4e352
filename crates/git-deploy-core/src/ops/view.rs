//! What is known at one moment: branches with their states, the queue, the ledger.

mod emptied;
mod landed;
mod line;
mod named;
mod queued;
mod rules;
mod stray;
mod tags;
mod taken_back;

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use crate::branch::{Branch, OnBase};
use crate::config::deploy_toml::DeployToml;
use crate::config::{ConfigError, Settings};
use crate::git::chains::Chains;
use crate::git::notes::{Notes, NotesError};
use crate::git::{GitError, Ref, Repository};
use crate::ids::{CommitId, DeploymentId, IdError, ObjectId, RefName};
use crate::ledger::Ledger;
use crate::note::Note;
use crate::ops::approve::{ApproveError, Rules};
use crate::ops::copied;
use crate::receive::has_landed;

pub use emptied::Emptied;
pub use landed::LandedElsewhere;
pub use named::named_branches;
use queued::Undone;
pub(in crate::ops) use tags::read_deployment;

/// A repository as it stands, with the configuration that counts in it. A copy knows what was read by the others.
#[derive(Clone)]
pub struct View<'a> {
    /// The repository.
    pub repository: &'a Repository,
    /// Git's configuration.
    pub settings: Settings,
    /// The notes.
    pub notes: Notes<'a>,
    tags: Rc<OnceCell<BTreeMap<DeploymentId, ObjectId>>>,
    ledger: Rc<OnceCell<Ledger>>,
    undone: Rc<OnceCell<Vec<Undone>>>,
    landings: Rc<OnceCell<HashMap<CommitId, Vec<Landing>>>>,
    base_tip: Rc<OnceCell<Option<CommitId>>>,
    /// What is known of the branches that stand right on base.
    on_base: Rc<RefCell<Option<Chains>>>,
    /// Whether base has commits, as far as that was asked.
    merged: Rc<RefCell<HashMap<CommitId, bool>>>,
    past_of_base: Rc<taken_back::PastOfBase>,
    deploy_toml: Rc<OnceCell<Option<DeployToml>>>,
    rules: Rc<OnceCell<Option<Rules>>>,
    /// Where git's default notes stand, which mostly are not there.
    default_notes: Rc<OnceCell<Option<CommitId>>>,
}

/// A deployment that landed.
struct Landing {
    id: DeploymentId,
    branch: Option<RefName>,
}

/// Branches and what could not be read about some of them.
#[derive(Debug, Default)]
pub struct Branches {
    /// The branches, by name.
    pub branches: Vec<Branch>,
    /// Notes that are malformed; their branches count as being in development.
    pub malformed: Vec<NotesError>,
    /// How many branches there are besides whose names are not UTF-8: they can have no state.
    pub not_utf8: usize,
    /// The names of branches that git itself would not make, such as `HEAD`: they can have no state either.
    pub odd: Vec<String>,
}

/// The branches that count, and those that can have no state: their names, and how many have none that is UTF-8.
struct Heads {
    named: Vec<(RefName, Ref)>,
    odd: Vec<String>,
    not_utf8: usize,
}

/// Where the tip of a branch was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Our own branch.
    Local,
    /// The branch as it was last fetched from the remote.
    Remote,
}

/// Why the view could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A note cannot be read.
    #[error(transparent)]
    Notes(#[from] NotesError),
    /// Whether a branch is approved could not be found out.
    #[error("cannot tell whether a branch is approved: {0}")]
    Approve(#[from] ApproveError),
    /// Git failed.
    #[error(transparent)]
    Git(#[from] GitError),
    /// There is no such branch, here or on the remote.
    #[error("there is no branch '{}'", .0.short())]
    NoBranch(RefName),
    /// A word that cannot be the name of a branch.
    #[error("there is no branch '{word}': {why}")]
    NotABranch {
        /// The word.
        word: String,
        /// Why not.
        why: IdError,
    },
    /// No branch is named, and none is checked out.
    #[error("no branch is checked out ({})", match .under {
        Some(operation) => format!("a {operation} is under way"),
        None => "HEAD is detached".to_owned(),
    })]
    Detached {
        /// What is under way, such as `rebase`.
        under: Option<&'static str>,
    },
    /// No branch is named, and the one that is checked out can have no state.
    #[error("branch '{0}' can have no state: its name is not UTF-8")]
    NotUtf8(String),
    /// The branch that is checked out has no commit yet.
    #[error("branch '{}' has no commits yet", .0.short())]
    Unborn(RefName),
}

impl<'a> View<'a> {
    /// Reads the configuration and where the notes stand.
    ///
    /// # Errors
    /// When either cannot be read.
    pub fn new(repository: &'a Repository) -> Result<Self, ViewError> {
        Self::with(repository, repository.notes()?)
    }

    /// The same with the notes that somebody has read, and is about to write.
    pub(super) fn with(repository: &'a Repository, notes: Notes<'a>) -> Result<Self, ViewError> {
        Ok(Self {
            repository,
            settings: Settings::read(repository)?,
            notes,
            tags: Rc::default(),
            ledger: Rc::default(),
            undone: Rc::default(),
            landings: Rc::default(),
            base_tip: Rc::default(),
            on_base: Rc::default(),
            merged: Rc::default(),
            past_of_base: Rc::default(),
            deploy_toml: Rc::default(),
            rules: Rc::default(),
            default_notes: Rc::default(),
        })
    }

    /// Whether a deployment has landed.
    pub(super) fn has_landed(&self) -> impl Fn(&DeploymentId) -> Result<bool, GitError> {
        |id| Ok(self.ledger()?.find(id).is_some_and(has_landed))
    }

    /// The deployment that landed a branch's tip, if that is on base now. `noted`: the tip's note speaks for the branch by
    /// name, be it the one that was deployed or another with the same tip.
    fn landed(&self, branch: &RefName, tip: CommitId, noted: bool) -> Result<Option<DeploymentId>, GitError> {
        // What stands on base has not landed: most of those that are kept there need no ledger. For one of the others the
        // walk through history is cheaper than a long ledger; for many the ledger is there already. One that is empty is not
        // worth a walk, which goes through all that a branch has and base has not.
        if self.stands_on_base(tip)?
            || self.tags()?.is_empty()
            || self.ledger.get().is_none() && !self.is_on_base(tip)?
        {
            return Ok(None);
        }
        let landings = self.landings()?.get(&tip);
        let mut latest_first = landings.into_iter().flatten().rev();
        match latest_first.find(|landing| noted || landing.branch.as_ref() == Some(branch)) {
            Some(landing) if self.is_on_base(tip)? => Ok(Some(landing.id.clone())),
            _ => Ok(None),
        }
    }

    /// The deployments that landed, oldest first, by their commits.
    fn landings(&self) -> Result<&HashMap<CommitId, Vec<Landing>>, GitError> {
        if let Some(landings) = self.landings.get() {
            return Ok(landings);
        }
        let mut landings: HashMap<CommitId, Vec<Landing>> = HashMap::new();
        for deployment in self.ledger()?.deployments.iter().filter(|deployment| deployment.landed()) {
            let landing = Landing { id: deployment.id.clone(), branch: deployment.branch.clone() };
            landings.entry(deployment.commit).or_default().push(landing);
        }
        Ok(self.landings.get_or_init(|| landings))
    }

    fn derive(
        &self,
        name: RefName,
        tip: CommitId,
        note: Option<Note>,
        others_on_tip: bool,
    ) -> Result<Branch, ViewError> {
        // Base is where branches land: it is in no state, whatever is written on its tip.
        let note = note.filter(|_| name != self.settings.base);
        let noted = note.as_ref().is_some_and(|note| note.refs.contains(&name));
        let on_base = match self.landed(&name, tip, noted)? {
            Some(deployment) => OnBase::Deployed(deployment),
            // Of what is in development anyway it makes no difference. That history cannot be walked through is told by
            // whoever needs that, and keeps nobody from seeing a state.
            None if note.as_ref().is_some_and(|note| Branch::would_leave(note, &name, others_on_tip))
                && self.is_on_base(tip).unwrap_or(false) =>
            {
                OnBase::Merged(self.settings.base.clone())
            }
            None => OnBase::No,
        };
        Ok(Branch::derive(name, tip, note, others_on_tip, on_base))
    }

    /// A branch as it stands where it counts.
    ///
    /// # Errors
    /// When its note is malformed.
    pub fn authority_branch(&self, name: &RefName) -> Result<Option<Branch>, ViewError> {
        let tip = self.repository.tip(&self.settings.authority(name))?;
        tip.map(|tip| self.derive_one(name, tip)).transpose()
    }

    /// One branch: ours, else the remote's.
    ///
    /// # Errors
    /// When there is none of this name, or its note is malformed.
    pub fn branch(&self, name: &RefName) -> Result<(Branch, Side), ViewError> {
        let (tip, side) = match self.repository.tip(name)? {
            Some(tip) => (Some(tip), Side::Local),
            None => (self.repository.tip(&self.settings.authority(name))?, Side::Remote),
        };
        let Some(tip) = tip else { return Err(ViewError::NoBranch(name.clone())) };
        Ok((self.derive_one(name, tip)?, side))
    }

    /// The same as a list has it: a note that is malformed counts as none, and is returned beside the branch.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn listed_branch(&self, name: &RefName) -> Result<(Branch, Option<NotesError>), ViewError> {
        match (self.branch(name), self.branch_tip(name)?) {
            (Err(ViewError::Notes(error @ NotesError::Note { .. })), Some(tip)) => {
                Ok((Branch::derive(name.clone(), tip, None, false, OnBase::No), Some(error)))
            }
            (branch, _) => {
                let branch = branch?.0;
                let copied = self.copied(&branch)?;
                Ok((branch, copied))
            }
        }
    }

    fn derive_one(&self, name: &RefName, tip: CommitId) -> Result<Branch, ViewError> {
        let note = if *name == self.settings.base { None } else { copied::own_note(&self.notes, tip)? };
        // Only a note that names no branch depends on who else is there, and asking costs a walk over all refs.
        let unnamed = note.as_ref().is_some_and(|note| note.refs.is_empty());
        let others = unnamed && self.heads_on(tip)?.iter().any(|other| other != name);
        self.derive(name.clone(), tip, note, others)
    }

    /// The note on a branch's tip, if it counts for nothing because it was made for another commit.
    fn copied(&self, branch: &Branch) -> Result<Option<NotesError>, NotesError> {
        if branch.note.is_some() || branch.name == self.settings.base {
            return Ok(None);
        }
        let note = self.notes.get(branch.tip)?;
        note.map_or(Ok(None), |note| copied::fault(&self.notes, branch.tip, &note))
    }

    /// The tip of one branch: ours, else the remote's.
    ///
    /// # Errors
    /// When refs cannot be read.
    pub fn branch_tip(&self, name: &RefName) -> Result<Option<CommitId>, GitError> {
        match self.repository.tip(name)? {
            None => self.repository.tip(&self.settings.authority(name)),
            tip => Ok(tip),
        }
    }

    /// The branches that count whose tip is this commit.
    ///
    /// # Errors
    /// When refs cannot be read.
    pub fn heads_on(&self, tip: CommitId) -> Result<Vec<RefName>, GitError> {
        Ok(self.heads_by_tip()?.remove(&tip).unwrap_or_default())
    }

    /// The branches that count, by their tips: for whoever asks for many.
    ///
    /// # Errors
    /// When refs cannot be read.
    pub fn heads_by_tip(&self) -> Result<HashMap<CommitId, Vec<RefName>>, GitError> {
        let mut found: HashMap<CommitId, Vec<RefName>> = HashMap::new();
        for (name, head) in self.authority_heads()?.named {
            found.entry(CommitId(head.target)).or_default().push(name);
        }
        Ok(found)
    }

    /// The branches that count, under the names that they have there.
    fn authority_heads(&self) -> Result<Heads, GitError> {
        let prefix = self.settings.authority_prefix();
        let (mut named, mut odd) = (Vec::new(), Vec::new());
        let refs = self.repository.all_refs(&prefix)?;
        for head in refs.named {
            let short = head.name.as_str().strip_prefix(&prefix).unwrap_or_default();
            match RefName::branch(short) {
                _ if head.symbolic => {}
                Ok(name) => named.push((name, head)),
                Err(_) => odd.push(short.to_owned()),
            }
        }
        Ok(Heads { named, odd, not_utf8: refs.not_utf8 })
    }

    /// The branches that count: without base, symbolic refs and the branches of `rendered` environments.
    ///
    /// # Errors
    /// When refs or notes cannot be read; a malformed note is reported beside the branches.
    pub fn authority_branches(&self) -> Result<Branches, ViewError> {
        let Heads { named, odd, not_utf8 } = self.authority_heads()?;
        Ok(Branches { not_utf8, odd, ..self.derive_all(named, |_, _| true)? })
    }

    /// Our own branches, without base, symbolic refs and the branches of `rendered` environments.
    ///
    /// # Errors
    /// When refs or notes cannot be read; a malformed note is reported beside the branches.
    pub fn local_branches(&self) -> Result<Branches, ViewError> {
        self.local_branches_where(|_, _| true)
    }

    /// Those of them that are wanted by name and tip: nothing is read for the others.
    ///
    /// # Errors
    /// When refs or notes cannot be read; a malformed note is reported beside the branches.
    pub fn local_branches_where(
        &self,
        is_wanted: impl FnMut(&RefName, CommitId) -> bool,
    ) -> Result<Branches, ViewError> {
        let refs = self.repository.all_refs("refs/heads/")?;
        let heads = refs.named.into_iter().filter(|head| !head.symbolic);
        let found = self.derive_all(heads.map(|head| (head.name.clone(), head)).collect(), is_wanted)?;
        Ok(Branches { not_utf8: refs.not_utf8, ..found })
    }

    fn derive_all(
        &self,
        mut heads: Vec<(RefName, Ref)>,
        mut is_wanted: impl FnMut(&RefName, CommitId) -> bool,
    ) -> Result<Branches, ViewError> {
        let mut on_tip: HashMap<_, u32> = HashMap::new();
        for (_, head) in &heads {
            *on_tip.entry(head.target).or_default() += 1;
        }
        heads.retain(|(name, head)| *name != self.settings.base && is_wanted(name, CommitId(head.target)));
        if heads.is_empty() {
            return Ok(Branches::default());
        }
        let rendered = self.rendered_branches()?;
        heads.retain(|(name, _)| !rendered.contains(name));
        let blobs = self.notes.blobs_on(heads.iter().map(|(_, head)| CommitId(head.target)).collect())?;
        let mut stand_elsewhere = Vec::new();
        for (_, head) in &heads {
            let tip = CommitId(head.target);
            stand_elsewhere.extend((!self.stands_on_base(tip)?).then_some(tip));
        }
        let read = heads.into_iter().map(|(name, head)| {
            let tip = CommitId(head.target);
            let note = blobs.get(&tip).map(|blob| self.notes.read(tip, *blob)).transpose();
            let note = note.and_then(|note| copied::checked(&self.notes, tip, note));
            (name, tip, note, on_tip[&head.target] > 1)
        });
        let read: Vec<_> = read.collect();
        let asked = read.iter().filter(|(name, _, note, others_on_tip)| {
            let note = note.as_ref().ok().and_then(Option::as_ref);
            note.is_some_and(|note| Branch::would_leave(note, name, *others_on_tip))
        });
        let asked: HashSet<CommitId> = asked.map(|(_, tip, ..)| *tip).collect();
        if stand_elsewhere.len() > 1 {
            let landings = self.landings()?;
            stand_elsewhere.retain(|tip| asked.contains(tip) || landings.contains_key(tip));
            self.look_on_base(&stand_elsewhere)?;
        }
        let mut found = Branches::default();
        for (name, tip, note, others_on_tip) in read {
            match note {
                Ok(note) => found.branches.push(self.derive(name, tip, note, others_on_tip)?),
                Err(error @ NotesError::Note { .. }) => {
                    found.malformed.push(error);
                    found.branches.push(Branch::derive(name, tip, None, false, OnBase::No));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(found)
    }

    /// The tip of base, if it is there.
    pub(super) fn base_tip(&self) -> Result<Option<CommitId>, GitError> {
        if let Some(base_tip) = self.base_tip.get() {
            return Ok(*base_tip);
        }
        let base_tip = self.repository.tip(&self.settings.authority(&self.settings.base))?;
        Ok(*self.base_tip.get_or_init(|| base_tip))
    }
}
