//! The locks of an environment and of base: taking them, moving them along, taking over those of the dead.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::UNIX_EPOCH;

use super::keeping::Keeper;
use super::{Context, DeployError, Errand};
use crate::attempt::{LOCK_TTL, Lock, base_lock, environment_lock};
use crate::config::deploy_toml::Environment;
use crate::git::object::{Kind, tag_bytes};
use crate::git::{GitError, Identity};
use crate::ids::{CommitId, DeploymentId, ObjectId, RefName};
use crate::land::Change;
use crate::ledger::Deployment;
use crate::machine;

/// Whether a lock may be taken.
pub(super) enum Availability {
    /// Nobody has it, or who has it is dead: this is what the ref holds now.
    Free(Option<ObjectId>),
    /// Somebody has it.
    Held(Lock),
}

/// Names this run: a number that no other run has.
pub(super) fn new_run() -> String {
    format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..))
}

/// This machine's boot and the space that its process ids belong to: a process of another container is not gone just
/// because we cannot see it.
fn boot() -> String {
    let space = std::fs::read_link("/proc/self/ns/pid").ok();
    let space = space.map(|space| space.display().to_string()).unwrap_or_default();
    format!("{} {space}", machine::boot()).trim().to_owned()
}

/// Whether a holder is a process of this boot that is gone: nobody needs to have watched it.
pub(super) fn process_is_gone(lock: &Lock) -> bool {
    !lock.boot.is_empty() && lock.boot == boot() && !machine::is_alive(lock.pid)
}

impl Context<'_> {
    /// Makes the commit that a lock's ref leads to while this run holds it. Each call gives another, so that whoever
    /// watches sees that the run is alive.
    pub(super) fn write_lock(
        &self,
        run: &str,
        deployment: Option<&DeploymentId>,
    ) -> Result<CommitId, GitError> {
        let text = format!("{}renewal: {:016x}\n", self.lock(run, deployment)?.to_text(), fastrand::u64(..));
        self.repository().write_record(&self.identity, Vec::new(), &text)
    }

    /// What this run writes where it holds something, for a deployment or to tidy up.
    pub(super) fn lock(&self, run: &str, deployment: Option<&DeploymentId>) -> Result<Lock, GitError> {
        Ok(Lock {
            run: run.to_owned(),
            by: self.identity.who().to_owned(),
            host: machine::host(),
            boot: boot(),
            clone: self.clone_id()?,
            pid: machine::pid(),
            deployment: deployment.cloned(),
            ttl: LOCK_TTL,
        })
    }

    /// Whether a lock may be taken by this run.
    pub(super) fn availability(&self, name: &RefName) -> Result<Availability, DeployError> {
        let Some((held, lock)) = self.read_lock(name)? else { return Ok(Availability::Free(None)) };
        if self.is_gone(&lock, name.as_str(), &held.to_string())? {
            return Ok(Availability::Free(Some(held)));
        }
        Ok(Availability::Held(lock))
    }

    /// What a lock's ref holds, and who that is.
    pub(super) fn read_lock(&self, name: &RefName) -> Result<Option<(ObjectId, Lock)>, DeployError> {
        let Some(held) = self.transactor().resolve(name)? else { return Ok(None) };
        let text = self.repository().commit(CommitId(held))?.message_text();
        let lock = Lock::parse(&text).map_err(|error| DeployError::Record { name: name.clone(), error })?;
        Ok(Some((held, lock)))
    }

    /// The move that takes a lock.
    pub(super) fn take(
        &self,
        name: RefName,
        run: &str,
        id: Option<&DeploymentId>,
    ) -> Result<Change, DeployError> {
        match self.availability(&name)? {
            Availability::Free(held) => Ok(Change::update(name, held, self.write_lock(run, id)?.0)),
            Availability::Held(lock) => {
                Err(DeployError::Locked { by: lock.by, host: lock.host, deployment: lock.deployment })
            }
        }
    }

    /// Sees who holds what there is of an environment in git, which is held elsewhere as well: whoever died holds all of it,
    /// and all of it is watched from the same moment on. What cannot be read now is told by whoever is to take it.
    pub(super) fn watch_locks(&self, environment: &Environment) {
        for name in [environment_lock(&environment.name), base_lock()].into_iter().flatten() {
            let _ = self.availability(&name);
        }
    }

    /// The same of what the environment itself knows. What cannot be asked now is asked by whoever is to take it.
    pub(super) fn watch_environment(&self, environment: &Environment, id: Option<&DeploymentId>) {
        let run = new_run();
        let custody = Keeper { context: self, run: &run, id };
        let Ok(driver) = self.driver(environment, Errand::Leftover) else { return };
        let Ok(standing) = self.standing(environment) else { return };
        let _ = driver.watch(&standing, &custody, self.deployer.interrupt);
    }

    /// Whether a holder is dead, or what it wrote at `place` stood still for too long.
    pub(super) fn is_gone(&self, lock: &Lock, place: &str, value: &str) -> Result<bool, DeployError> {
        Ok(self.is_dead(lock)? || self.was_watched(place, value, lock)?)
    }

    /// A process of this boot that is gone holds nothing. Neither does another run of this very repository: runs in it
    /// exclude each other by the lock file that we hold.
    fn is_dead(&self, lock: &Lock) -> Result<bool, GitError> {
        Ok(lock.clone == self.clone_id()? || process_is_gone(lock))
    }

    /// The name that this repository has given itself. A copy of it is another one, although the name is copied, too: runs
    /// in both do not exclude each other.
    fn clone_id(&self) -> Result<String, GitError> {
        let dir = self.repository().deploy_dir();
        let (path, ours) = (dir.join("clone-id"), birth(&dir)?);
        let known = std::fs::read_to_string(&path).unwrap_or_default();
        if let Some((name, of)) = known.trim().split_once('\n')
            && of == ours
        {
            return Ok(name.to_owned());
        }
        let name = new_run();
        remember(&path, &format!("{name}\n{ours}\n"))?;
        Ok(name)
    }

    /// Whether we have seen this very value of a lock for twice the time that it may stay unchanged, by a clock that only
    /// this boot of this machine has. Times of day are never compared.
    fn was_watched(&self, place: &str, held: &str, lock: &Lock) -> Result<bool, DeployError> {
        let now = i64::try_from(machine::uptime().as_secs()).unwrap_or(i64::MAX);
        let path = self.repository().deploy_dir().join("watched").join(place.replace('/', "_"));
        let seen = std::fs::read_to_string(&path).unwrap_or_default();
        let mut lines = seen.lines();
        let same = lines.next() == Some(held) && lines.next() == Some(&boot());
        let since =
            lines.next().and_then(|since| since.parse::<i64>().ok()).filter(|since| same && *since <= now);
        if let Some(since) = since {
            return Ok(now - since >= i64::try_from(lock.ttl.saturating_mul(2)).unwrap_or(i64::MAX));
        }
        remember(&path, &format!("{held}\n{}\n{now}\n", boot()))?;
        Ok(false)
    }

    /// Makes the annotated tag of a deployment.
    pub(super) fn write_tag(&self, tagger: &Identity, deployment: &Deployment) -> Result<ObjectId, GitError> {
        let (name, message) = (deployment.id.to_string(), deployment.message());
        self.repository().write(Kind::Tag, &tag_bytes(deployment.commit, &name, tagger.as_str(), &message))
    }
}

/// What a directory has in common with no copy of it.
fn birth(dir: &Path) -> Result<String, GitError> {
    std::fs::create_dir_all(dir).map_err(GitError::file(dir))?;
    let metadata = std::fs::metadata(dir).map_err(GitError::file(dir))?;
    // Not every file system knows when.
    let born = metadata.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    Ok(format!("{} {}", metadata.ino(), born.unwrap_or_default().as_nanos()))
}

fn remember(path: &Path, text: &str) -> Result<(), GitError> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(GitError::file(dir))?;
    }
    std::fs::write(path, text).map_err(GitError::file(path))
}
