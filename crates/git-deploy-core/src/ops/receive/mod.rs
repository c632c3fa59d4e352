//! `pre-receive`: reads what a push would move, and what stands there, and lets [`crate::receive`] judge.
//!
//! Runs in the server's repository while the push waits. New objects are in git's quarantine, where only the git program
//! is sure to find them, so that it is the back end here. Nothing is ever written there: no object, no ref, no lock. Only
//! what the push names is read, so that a long ledger and many notes cost nothing.

mod applied;
mod approved;
pub(in crate::ops) mod changed_notes;
mod late;
mod objects;
mod standing;

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::attempt::Attempt;
use crate::config::deploy_toml::{DeployToml, Environment, Target};
use crate::deployment::Phase;
use crate::git::notes::{NotesError, notes_ref};
use crate::git::{GitError, Repository};
use crate::ids::{CommitId, DeploymentId, EnvironmentName, IdError, ObjectId, RefName};
use crate::note::Note;
use crate::ops::approve::ApproveError;
use crate::ops::{hold, promote};
use crate::receive::{
    BaseMove, FirstDeployToml, Forward, Guarded, Hotfix, Moved, NotesMove, Push, Refusal, RenderedMove,
    has_landed, is_alike, is_ambiguous, is_in_the_way,
};

use objects::Read;
use standing::Standing;

/// What names who pushes, where nothing is configured: the web server, else the account.
const PUSHER: [&str; 2] = ["REMOTE_USER", "LOGNAME"];

/// Why a push could not be judged; it is refused then.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// The hook was not called as git calls it.
    #[error("cannot read what is pushed: '{0}' is no line of pre-receive")]
    Line(String),
    /// The server's `deploy.base` is no branch.
    #[error("cannot use the server's 'deploy.base': {0}")]
    Base(#[from] IdError),
    /// Deployments have landed, and what the server takes for base is not there.
    #[error("deployments stand here, and '{}', on which they land, does not", .0.short())]
    NoBase(RefName),
    /// It could not be found out whether a candidate is approved.
    #[error(transparent)]
    Approve(#[from] ApproveError),
    /// A note could not be read.
    #[error(transparent)]
    Notes(#[from] NotesError),
    /// Git failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

/// One line of what git gives to the hook.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Update {
    name: String,
    before: Option<ObjectId>,
    after: Option<ObjectId>,
}

/// Judges what git gives to a `pre-receive` hook. Returns why it is refused: nothing where it is not.
///
/// # Errors
/// When that, or what stands there, cannot be read.
pub fn receive(repository: &Repository, input: &[u8]) -> Result<Vec<Refusal>, ReceiveError> {
    let updates = updates(input)?;
    let (base, standing) = (base(repository)??, Standing::new(repository));
    // By a wrong name of base every rule about it would be no rule.
    if standing.tip(&base)?.is_none() && standing.has_deployments()? {
        return Err(ReceiveError::NoBase(base));
    }
    let receiver = Receiver { repository, standing, base, deploy_toml: OnceCell::new() };
    Ok(receiver.read(updates)?.refusals())
}

fn updates(input: &[u8]) -> Result<Vec<Update>, ReceiveError> {
    // A name that is not UTF-8 is none of ours, and none that is read as one after its bytes are replaced.
    let text = String::from_utf8_lossy(input);
    let id = |word: &str| word.parse::<ObjectId>().ok().map(|id| Some(id).filter(|id| !id.is_null()));
    let update = |line: &str| {
        let mut words = line.splitn(3, ' ');
        let (before, after) = (id(words.next()?)?, id(words.next()?)?);
        Some(Update { name: words.next()?.to_owned(), before, after })
    };
    text.split_terminator('\n')
        .map(|line| update(line).ok_or_else(|| ReceiveError::Line(line.to_owned())))
        .collect()
}

/// What a server takes for base: what counts as that for everybody who has nothing else configured. Only the repository's own
/// configuration is asked: an account that pushes may have one, too. The inner error says what is no name of a branch.
///
/// # Errors
/// When the configuration, or `HEAD`, cannot be read.
pub fn base(repository: &Repository) -> Result<Result<RefName, IdError>, GitError> {
    if let Some(name) = repository.own_config("deploy.base")?.pop() {
        return Ok(RefName::branch(name.strip_prefix("refs/heads/").unwrap_or(&name)));
    }
    let head = repository.symbolic_target("HEAD")?;
    Ok(head.map_or_else(|| RefName::branch("master"), Ok))
}

struct Receiver<'a> {
    repository: &'a Repository,
    standing: Standing<'a>,
    base: RefName,
    deploy_toml: OnceCell<Option<DeployToml>>,
}

impl Receiver<'_> {
    /// Reads all that a push means.
    fn read(&self, updates: Vec<Update>) -> Result<Push, ReceiveError> {
        let mut push = Push::default();
        let mut seen = HashSet::new();
        let tips = updates.iter().map(|update| (update.name.clone(), update.after)).collect();
        for update in updates {
            let Some(kind) = self.kind(&update)? else { continue };
            // Of two moves of one ref the second is what git refuses, and the first what it does.
            let place = if kind == Guarded::Base { self.base.to_string() } else { update.name.clone() };
            if !seen.insert(place) {
                push.stale.push(update.name);
                continue;
            }
            if kind == Guarded::Replacement {
                // Taking one away is the way out where one came before there was a hook.
                push.replacing.extend(update.after.map(|_| update.name));
                continue;
            }
            if kind == Guarded::Odd {
                push.odd.push(update.name);
                continue;
            }
            // A name that no ref can have is git's to refuse, and is not taken here either.
            let Ok(name) = RefName::new(update.name.clone()) else {
                push.odd.push(update.name);
                continue;
            };
            // What the client says that stands there is only what it believes.
            let stands = if kind == Guarded::Base {
                self.standing.tip(&self.base)?
            } else {
                self.standing.tip(&name)?
            };
            if stands != update.before {
                push.stale.push(update.name);
                continue;
            }
            self.read_update(kind, name, &update, &mut push)?;
        }
        self.read_hotfix(&mut push)?;
        self.read_known(&mut push)?;
        self.read_applied(&mut push)?;
        self.read_needed(&tips, &mut push)?;
        Ok(push)
    }

    fn kind(&self, update: &Update) -> Result<Option<Guarded>, GitError> {
        let kind = Guarded::of(&update.name, &self.base);
        // One that is there already can be moved out of the way.
        let is_odd = || is_ambiguous(&update.name) || is_alike(&update.name, &self.base);
        if kind.is_none() && update.before.is_none() && is_odd() {
            return Ok(Some(Guarded::Odd));
        }
        if kind.is_some() || !update.name.starts_with("refs/heads/") {
            return Ok(kind);
        }
        // Another name for base moves it, too, and so does one for the notes. It stands where these stand.
        for (stands, kind) in [(&self.base, Guarded::Base), (&notes_ref(), Guarded::Odd)] {
            if update.before.is_some()
                && update.before == self.standing.tip(stands)?
                && self.repository.symbolic_target(&update.name)?.as_ref() == Some(stands)
            {
                return Ok(Some(kind));
            }
        }
        for (branch, environment) in self.rendered()? {
            if branch == update.name {
                return Ok(Some(Guarded::Rendered(environment)));
            }
            // Beside such a ref the branch could not be made. One that was there before can be taken away.
            if update.after.is_some() && is_in_the_way(&branch, &update.name) {
                return Ok(Some(Guarded::Odd));
            }
        }
        Ok(None)
    }

    /// The `deploy.toml` that stands on base, if it can be read.
    fn standing_toml(&self) -> Result<Option<&DeployToml>, GitError> {
        if let Some(known) = self.deploy_toml.get() {
            return Ok(known.as_ref());
        }
        let tip = self.standing.tip(&self.base)?;
        let stands = tip.map(|tip| self.deploy_toml(CommitId(tip))).transpose()?.flatten();
        Ok(self.deploy_toml.get_or_init(|| stands.and_then(Result::ok)).as_ref())
    }

    /// The branches of environments.
    fn rendered(&self) -> Result<Vec<(String, EnvironmentName)>, GitError> {
        let environments = self.standing_toml()?.into_iter().flat_map(DeployToml::environments);
        let branch = |environment: &Environment| match &environment.target {
            Target::Rendered { branch, .. } => {
                Some((format!("refs/heads/{branch}"), environment.name.clone()))
            }
            Target::Cluster { .. } => None,
        };
        Ok(environments.filter_map(branch).collect())
    }

    fn read_update(
        &self,
        kind: Guarded,
        name: RefName,
        update: &Update,
        push: &mut Push,
    ) -> Result<(), ReceiveError> {
        match kind {
            Guarded::Base => push.base = Some(self.base_move(update)?),
            Guarded::Notes => push.notes = Some(self.notes_move(update)?),
            Guarded::Tag(id) => {
                let moved = moved(name, update, |at| self.deployment(&id, at))?;
                push.tags.insert(id, moved);
            }
            Guarded::HotfixTag => push.hotfixes.push(moved(name, update, |at| self.trace(at))?),
            Guarded::Attempt(id) => {
                let moved = moved(name, update, |at| self.attempt(&id, at))?;
                push.attempts.insert(id, moved);
            }
            Guarded::Lock => push.locks.push(moved(name, update, |at| self.lock(at))?),
            Guarded::Hold => {
                push.holds.push(moved(name, update, |at| hold::read(self.repository, at))?);
            }
            Guarded::Promotion => {
                push.promotions.push(moved(name, update, |at| promote::read(self.repository, at))?);
            }
            Guarded::Kept(environment, number) => {
                let moved = moved(name, update, |at| Ok(self.commit(at)?.map(|_| at)))?;
                push.kept.push(((environment, number), moved));
            }
            Guarded::Rendered(environment) => push.rendered.push(RenderedMove {
                name: update.name.clone(),
                environment,
                after: update.after,
                forward: self.forward(update)?,
                is_applied: false,
            }),
            // Without it a branch waits; with another commit under its name it would wait, too.
            Guarded::Approved(commit) if update.after.is_none() => push.released.push((name, commit)),
            Guarded::Approved(commit) if update.after == Some(commit.0) => {}
            Guarded::Approved(_) | Guarded::Replacement | Guarded::Odd => push.odd.push(update.name.clone()),
        }
        Ok(())
    }

    fn forward(&self, update: &Update) -> Result<Forward, GitError> {
        Ok(match (update.before, update.after) {
            (_, None) => Forward::Away,
            (Some(before), Some(after))
                if !self.repository.is_ancestor(CommitId(before), CommitId(after))? =>
            {
                Forward::Back
            }
            (_, Some(_)) => Forward::On,
        })
    }

    fn base_move(&self, update: &Update) -> Result<BaseMove, GitError> {
        let (before, after) = (update.before.map(CommitId), update.after.map(CommitId));
        let mut moves = BaseMove {
            name: update.name.clone(),
            before,
            after,
            forward: false,
            lands: None,
            first: None,
            hotfix: Hotfix::default(),
        };
        let (Some(before), Some(after)) = (before, after) else { return Ok(moves) };
        moves.forward = self.repository.is_ancestor(before, after)?;
        match self.deploy_toml(before)? {
            Some(stands) => moves.lands = stands.ok().map(|toml| toml.landing_environment().name.clone()),
            None => {
                moves.first = Some(match self.deploy_toml(after)? {
                    None => FirstDeployToml::Missing,
                    Some(Ok(_)) => FirstDeployToml::Brought,
                    Some(Err(why)) => FirstDeployToml::Wrong(why),
                });
            }
        }
        Ok(moves)
    }

    fn notes_move(&self, update: &Update) -> Result<NotesMove, GitError> {
        let before = update.before.map(CommitId);
        let Some(after) = update.after else {
            return Ok(NotesMove { after: None, forward: false, changes: Ok(Vec::new()) });
        };
        let mut changes = match self.commit(after)? {
            Err(why) => Err(why),
            Ok(commit) => {
                let stood = before.map(|before| self.repository.commit(before)).transpose()?;
                changed_notes::changes(self.repository, stood.map(|stood| stood.tree), commit.tree)?
            }
        };
        if let Ok(changes) = &mut changes {
            let [before, after] = [before, Some(CommitId(after))].map(|at| self.repository.notes_at(at));
            changed_notes::find_copies(changes, &before?, &after?)?;
        }
        let forward = match before {
            Some(before) if changes.is_ok() => self.repository.is_ancestor(before, CommitId(after))?,
            Some(_) | None => true,
        };
        Ok(NotesMove { after: Some(CommitId(after)), forward, changes })
    }

    /// Who pushes, and who may push past the queue.
    fn read_hotfix(&self, push: &mut Push) -> Result<(), GitError> {
        let Some(base) = push.base.as_mut().filter(|_| !push.hotfixes.is_empty()) else { return Ok(()) };
        let named = self.repository.own_config("deploy.pusher")?.pop();
        let variables: Vec<&str> = named.as_deref().map_or_else(|| PUSHER.to_vec(), |named| vec![named]);
        let known = |variable: &&str| std::env::var(variable).ok().filter(|name| !name.is_empty());
        base.hotfix = Hotfix {
            listed: self.repository.own_config("deploy.hotfix")?,
            pusher: variables.iter().find_map(known),
        };
        Ok(())
    }

    /// Reads what stands there of the deployments that a push names.
    fn read_known(&self, push: &mut Push) -> Result<(), ReceiveError> {
        for id in push.named() {
            let attempt = self.standing.tip(&id.attempt())?.map(|at| self.attempt(&id, at)).transpose()?;
            if let Some(Ok(attempt)) = attempt {
                push.known.attempts.insert(id.clone(), attempt);
            }
            let deployment = self.standing.tip(&id.tag())?.map(|at| self.deployment(&id, at)).transpose()?;
            if let Some(Ok(deployment)) = deployment {
                push.known.deployments.insert(id, deployment);
            }
        }
        let claims = push.attempts.values().filter_map(|moved| moved.after.as_ref()?.as_ref().ok());
        let open: Vec<&Attempt> = claims.filter(|claim| claim.phase != Phase::Finished).collect();
        let no_branch = open.iter().filter(|claim| claim.branch.is_none());
        let mut asked: BTreeSet<CommitId> = no_branch.map(|claim| claim.candidate).collect();
        let before = self.standing.tip(&notes_ref())?.map(CommitId);
        let after =
            push.notes.as_ref().filter(|notes| notes.changes.is_ok()).map_or(before, |notes| notes.after);
        let landing: Vec<CommitId> = push.base.as_ref().and_then(|base| base.after).into_iter().collect();
        let going: Vec<CommitId> = open.iter().map(|claim| claim.candidate).collect();
        push.known.notes_before = self.notes(before, &landing)?;
        push.known.notes_after = self.notes(after, &going)?;
        if push.brings_deployments() || !push.locks.is_empty() {
            let environments = |toml: &DeployToml| {
                toml.environments().iter().map(|known| (known.name.clone(), known.lands)).collect()
            };
            push.known.environments = self.standing_toml()?.map(environments);
        }
        if push.brings_deployments() {
            [push.known.tagged, push.known.claimed] = self.standing.deployments()?;
            let brought = push.tags.values().filter_map(|moved| moved.after.as_ref()?.as_ref().ok());
            asked.extend(brought.filter(|verdict| has_landed(verdict)).map(|verdict| verdict.commit));
        }
        let comes = push.base.as_ref().and_then(|base| base.after).filter(|_| push.known.tagged.is_empty());
        push.known.base = self.standing.tip(&self.base)?.map(CommitId);
        let base = comes.or(push.known.base);
        push.known.has_base = base.is_some();
        push.known.on_base = self.on_base(base, asked)?;
        push.known.unsigned = approved::unsigned(self, push)?;
        let otherwise = push.deployed_otherwise();
        let landed: Vec<CommitId> = otherwise.iter().filter_map(|(_, note)| push.landed_by(note)).collect();
        for note in self.notes(after, &landed)?.values() {
            push.known.used_up.extend(self.repository.notes_at(after)?.rebased_from(note)?.into_keys());
        }
        if !otherwise.iter().all(|(commit, _)| push.known.used_up.contains(commit)) {
            push.known.landed = self.landed()?;
        }
        push.known.late = late::decisions(self, push)?;
        Ok(())
    }

    /// Those of some commits that base has.
    fn on_base(
        &self,
        base: Option<CommitId>,
        commits: BTreeSet<CommitId>,
    ) -> Result<BTreeSet<CommitId>, GitError> {
        let mut found = BTreeSet::new();
        let Some(base) = base else { return Ok(found) };
        for commit in commits {
            if self.repository.is_ancestor(commit, base)? {
                found.insert(commit);
            }
        }
        Ok(found)
    }

    /// All that has landed, from the whole ledger: asked for only where a note makes it necessary.
    fn landed(&self) -> Result<BTreeSet<CommitId>, GitError> {
        let mut found = BTreeSet::new();
        for tag in self.repository.refs("refs/tags/deployment-")? {
            let Some(id) = DeploymentId::from_tag(&tag.name) else { continue };
            let deployment = self.deployment(&id, tag.target)?;
            found.extend(deployment.ok().filter(has_landed).map(|deployment| deployment.commit));
        }
        Ok(found)
    }

    /// The notes on some commits, as far as they can be read and were made for these.
    fn notes(
        &self,
        at: Option<CommitId>,
        commits: &[CommitId],
    ) -> Result<BTreeMap<CommitId, Note>, GitError> {
        let mut found = BTreeMap::new();
        if commits.is_empty() {
            return Ok(found);
        }
        let notes = self.repository.notes_at(at)?;
        for commit in commits {
            let note = changed_notes::note(self.repository, &notes, *commit)?;
            let note = note.and_then(|note| Note::parse(&note.ok()?).ok());
            if let Some(note) = note
                && !changed_notes::is_copy(&notes, *commit, &note)?
            {
                found.insert(*commit, note);
            }
        }
        Ok(found)
    }
}

fn moved<T>(
    name: RefName,
    update: &Update,
    read: impl Fn(ObjectId) -> Read<T>,
) -> Result<Moved<T>, GitError> {
    let before = update.before.map(&read).transpose()?;
    Ok(Moved { name, before, after: update.after.map(&read).transpose()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_gives_to_the_hook_is_read_line_by_line() {
        let (one, null) = ("1".repeat(40), "0".repeat(40));
        let read = updates(format!("{null} {one} refs/heads/a b\n{one} {null} refs/tags/v1\n").as_bytes());
        let read = read.unwrap();
        assert_eq!(
            (read[0].name.as_str(), read[0].before, read[0].after),
            ("refs/heads/a b", None, one.parse().ok())
        );
        assert_eq!((read[1].before, read[1].after), (one.parse().ok(), None));
        assert!(updates(b"nonsense\n").is_err());
        assert!(updates(b"").unwrap().is_empty());
    }
}
