//! What must hold whatever happens, judged by what the remote sees and what people wished.

use std::collections::BTreeMap;
use std::time::Duration;

use git2::{ObjectType, Oid, Repository};

use crate::refs::Move;
use crate::world::{Place, World};

/// What is wrong with a branch, which only its deployment finds out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing.
    Good,
    /// What it deploys never becomes ready.
    Fails,
    /// It changes what others change, too: the first of them lands, the others are broken.
    Conflicts,
}

/// What is decided within the same second has no order of its own, and all can see it up to two seconds later.
const SAME_SECOND: Duration = Duration::from_secs(3);

/// The repository that counts.
#[derive(Clone, Copy)]
pub(crate) struct Remote<'a> {
    pub(crate) world: &'a World,
    /// Whichever repository: all have the same objects.
    pub(crate) objects: &'a Repository,
}

impl Remote<'_> {
    pub(crate) fn resolve(self, name: &str) -> Option<Oid> {
        self.world.refs(Place::Remote, |refs| refs.resolve(name))
    }

    fn below(self, prefix: &str) -> Vec<(String, Oid)> {
        let owned = |(name, id): (&str, Oid)| (name.to_owned(), id);
        self.world.refs(Place::Remote, |refs| refs.below(prefix).map(owned).collect())
    }
}

/// What people wished of a branch.
#[derive(Debug)]
pub(crate) struct Wish {
    pub(crate) kind: Kind,
    /// The versions of it that somebody has approved.
    approved: Vec<u32>,
    /// When somebody last began to approve one: what is written bears a time after that, which may be long before it is told that
    /// all can see it.
    asked: Duration,
    /// Since when all can see that it is approved; none as long as, or since, it is not.
    queued: Option<Duration>,
    /// Whether it was approved, and then was not any more.
    was_withdrawn: bool,
    landed: Option<u32>,
}

/// What must hold, and what is known for that.
#[derive(Debug, Default)]
pub(crate) struct Promises {
    wishes: BTreeMap<String, Wish>,
    /// Who changes the environment, and for which deployment.
    at_work: Option<(usize, String)>,
    broken: Option<String>,
}

impl Promises {
    /// The first that was broken.
    pub(crate) fn broken(&self) -> Option<String> {
        self.broken.clone()
    }

    pub(crate) fn breaks(&mut self, what: String) {
        self.broken.get_or_insert(what);
    }

    /// Somebody is about to approve a version of a branch.
    pub(crate) fn approves(&mut self, name: &str, kind: Kind, version: u32, now: Duration) {
        let wish = self.wishes.entry(name.to_owned()).or_insert(Wish {
            kind,
            approved: Vec::new(),
            asked: now,
            queued: None,
            was_withdrawn: false,
            landed: None,
        });
        wish.approved.push(version);
        wish.asked = now;
    }

    /// Everybody can see that it was approved.
    pub(crate) fn is_queued(&mut self, name: &str, now: Duration) {
        if let Some(wish) = self.wishes.get_mut(name) {
            wish.queued = Some(now);
        }
    }

    /// Everybody can see that it is approved no more.
    pub(crate) fn is_withdrawn(&mut self, name: &str) {
        if let Some(wish) = self.wishes.get_mut(name) {
            wish.was_withdrawn |= wish.queued.take().is_some();
            wish.approved.clear();
        }
    }

    /// It is approved no more, or a deployment was faster: both is right.
    pub(crate) fn is_unsure(&mut self, name: &str) {
        if let Some(wish) = self.wishes.get_mut(name) {
            wish.was_withdrawn |= wish.queued.take().is_some();
        }
    }

    /// Whether it has landed.
    pub(crate) fn has_landed(&self, name: &str) -> bool {
        self.wishes.get(name).is_some_and(|wish| wish.landed.is_some())
    }

    /// Branches that should have landed in the end, and have not.
    pub(crate) fn left(&self) -> Vec<String> {
        let left = self.wishes.iter().filter(|(_, wish)| {
            let is_queued = !wish.approved.is_empty() && wish.queued.is_some();
            wish.kind == Kind::Good && is_queued && wish.landed.is_none()
        });
        left.map(|(name, _)| name.clone()).collect()
    }

    /// Somebody begins to change the environment. Who has stood still may do so until it finds out that others went on.
    pub(crate) fn works(&mut self, who: usize, deployment: &str, stood_still: impl Fn(usize) -> bool) {
        if let Some((other, theirs)) = &self.at_work
            && *other != who
            && !stood_still(*other)
            && !stood_still(who)
        {
            let what = format!("{deployment} changes the environment while {theirs} does");
            self.breaks(what);
        }
        self.at_work = Some((who, deployment.to_owned()));
    }

    /// Somebody is done with it, or dead.
    pub(crate) fn rests(&mut self, who: usize) {
        self.at_work.take_if(|(other, _)| *other == who);
    }

    /// A ref of the remote moves.
    pub(crate) fn moves(&mut self, remote: Remote<'_>, a_move: &Move, now: Duration) {
        if let Err(error) = self.judge(remote, a_move, now) {
            self.breaks(format!("{a_move} cannot be judged: {error}"));
        }
    }

    /// The ledger speaks of nothing that is not so: looked at where nobody is in the middle of a push.
    pub(crate) fn looks_at_ledger(&mut self, remote: Remote<'_>) {
        match untrue(remote) {
            Ok(None) => {}
            Ok(Some(untrue)) => self.breaks(untrue),
            Err(error) => self.breaks(format!("the ledger cannot be read: {error}")),
        }
    }

    fn judge(&mut self, remote: Remote<'_>, a_move: &Move, now: Duration) -> Result<(), git2::Error> {
        let Move { name, old, new } = a_move;
        match (name.as_str(), old, new) {
            ("refs/heads/master", Some(old), Some(new)) => self.judge_base(remote, *old, *new)?,
            ("refs/heads/master", _, None) => self.breaks("base was deleted".to_owned()),
            (name, Some(_), _) if name.starts_with("refs/tags/") => {
                self.breaks(format!("the ledger was written over: {a_move}"));
            }
            // What has its verdict changes nothing any more, though who gave it may not have heard yet that it was taken.
            (name, None, Some(_)) if name.starts_with("refs/tags/") => {
                self.at_work.take_if(|(_, deployment)| name.strip_prefix("refs/tags/") == Some(deployment));
            }
            (name, None, Some(new)) if name.starts_with("refs/deploy/attempts/") => {
                self.judge_claim(remote, name, *new, now)?;
            }
            (name, Some(_), None) if name.starts_with("refs/deploy/attempts/") => {
                self.breaks(format!("a number was given back: {a_move}"));
            }
            _ => {}
        }
        Ok(())
    }

    /// Base only moves forward, by what was approved, and each branch lands once.
    fn judge_base(&mut self, remote: Remote<'_>, old: Oid, new: Oid) -> Result<(), git2::Error> {
        if !remote.objects.graph_descendant_of(new, old)? {
            self.breaks(format!("base moved back from {old} to {new}"));
        }
        let files = |commit: Oid| files(remote.objects, commit);
        let (before, after) = (files(old)?, files(new)?);
        for path in before.keys().filter(|path| !after.contains_key(*path)) {
            self.breaks(format!("'{path}' was lost from base"));
        }
        for (path, text) in after.iter().filter(|(path, text)| before.get(*path) != Some(*text)) {
            let Some(name) = path.strip_suffix(".yaml") else { continue };
            let version = text.trim().rsplit(' ').next().and_then(|word| word.parse().ok());
            let broken = match (self.wishes.get_mut(name), version) {
                (Some(wish), Some(version)) if wish.approved.contains(&version) => {
                    // Who commits once more and approves that has it landed once more.
                    let again = wish.landed.replace(version) == Some(version);
                    match (again, wish.kind) {
                        (true, _) => Some("landed twice"),
                        (false, Kind::Fails) => Some("landed, though it does not work"),
                        _ => None,
                    }
                }
                _ => Some("landed, though nobody had approved that"),
            };
            if let Some(broken) = broken {
                self.breaks(format!("'{name}' {broken} (version {version:?})"));
            }
        }
        Ok(())
    }

    /// A deployment begins when those before it have ended, and with the head of the queue.
    fn judge_claim(
        &mut self,
        remote: Remote<'_>,
        name: &str,
        new: Oid,
        now: Duration,
    ) -> Result<(), git2::Error> {
        for (other, _) in remote.below("refs/deploy/attempts/") {
            let number = other.rsplit('/').next().unwrap_or_default();
            if other != name && remote.resolve(&format!("refs/tags/{number}")).is_none() {
                self.breaks(format!("{name} begins, and {number} has no verdict"));
            }
        }
        let commit = remote.objects.find_commit(new)?;
        let message = String::from_utf8_lossy(commit.message_bytes()).into_owned();
        let branch = message.lines().find_map(|line| line.strip_prefix("branch: refs/heads/"));
        let Some(branch) = branch else { return Ok(()) };
        let Some(wish) = self.wishes.get(branch) else {
            self.breaks(format!("{name} is of '{branch}', which nobody wished for"));
            return Ok(());
        };
        // Who stands still between looking and claiming may claim what was withdrawn meanwhile: it is given up before anything
        // is deployed, or else what lands was not approved.
        if wish.was_withdrawn && wish.queued.is_none() {
            return Ok(());
        }
        let since = wish.queued.map_or(now, |queued| queued.min(wish.asked));
        let first = self.wishes.iter().find(|(_, wish)| {
            wish.kind == Kind::Good
                && wish.landed.is_none()
                && wish.queued.is_some_and(|queued| queued + SAME_SECOND < since)
        });
        if let Some((first, _)) = first {
            self.breaks(format!("{name} is of '{branch}', and '{first}' was before it"));
        }
        Ok(())
    }
}

/// A success of the ledger whose commit base does not have.
fn untrue(remote: Remote<'_>) -> Result<Option<String>, git2::Error> {
    let Some(base) = remote.resolve("refs/heads/master") else { return Ok(None) };
    for (name, id) in remote.below("refs/tags/") {
        let tag = remote.objects.find_tag(id)?;
        let is_success = tag.message()?.is_some_and(|text| text.starts_with("Successfully"));
        let target = tag.target_id();
        if is_success && target != base && !remote.objects.graph_descendant_of(base, target)? {
            return Ok(Some(format!("{name} speaks of a success, and base has not its commit")));
        }
    }
    Ok(None)
}

/// What is to be deployed, by path.
fn files(repository: &Repository, commit: Oid) -> Result<BTreeMap<String, String>, git2::Error> {
    let tree = repository.find_commit(commit)?.tree()?;
    let Some(folder) = tree.get_name("deploy") else { return Ok(BTreeMap::new()) };
    let folder = repository.find_tree(folder.id())?;
    let mut files = BTreeMap::new();
    for entry in folder.iter().filter(|entry| entry.kind() == Some(ObjectType::Blob)) {
        let blob = repository.find_blob(entry.id())?;
        let text = String::from_utf8_lossy(blob.content()).into_owned();
        files.insert(entry.name().unwrap_or_default().to_owned(), text);
    }
    Ok(files)
}
