//! The files of branches that are checked out: they are where their branch goes before any ref moves, so that nothing moves
//! where there is no room for them.

use super::{Journal, Transactor};
use crate::git::refs::Expected;
use crate::git::work_tree::{Busy, CheckedOut};
use crate::git::{GitError, Repository};
use crate::ids::{CommitId, RefName};
use crate::land::Change;
use crate::ops::sweep::brief;

/// A work tree whose files go from one commit to another.
struct Follower {
    place: CheckedOut,
    branch: RefName,
    old: CommitId,
    new: CommitId,
}

/// Work trees that are where their branches go. They go back where these did not, see [`Transactor::take_back`].
#[must_use]
pub(super) struct Followers(Vec<Follower>);

impl Transactor<'_> {
    /// Brings files to where their branches go. Inside: what keeps some of them from that; then all are where they were.
    pub(super) fn bring(&self, journal: &Journal) -> Result<Result<Followers, Busy>, GitError> {
        let mut brought = Vec::new();
        for follower in self.followers(journal)? {
            let Follower { place, old, new, .. } = &follower;
            if let Err(error) = self.repository.follow(place, *old, *new) {
                let why = brief(&error);
                self.undo(&follower, |repository| repository.follow_back(place, *old, *new));
                self.take_back(Followers(brought))?;
                return Ok(Err(Busy::InTheWay { path: place.path.display().to_string(), why }));
            }
            brought.push(follower);
        }
        Ok(Ok(Followers(brought)))
    }

    /// Brings files back whose branches stay where they were. Where somebody has moved one just now, what its files are to be is
    /// for them to say, and that they are others is told.
    pub(super) fn take_back(&self, Followers(brought): Followers) -> Result<(), GitError> {
        for follower in brought {
            let Follower { place, branch, old, new } = &follower;
            if self.repository.tip(branch)? == Some(*old) {
                self.undo(&follower, |repository| repository.follow(place, *new, *old).map(|()| true));
            } else {
                self.tell_if_elsewhere(&follower)?;
            }
        }
        Ok(())
    }

    /// Tells of branches that somebody moved elsewhere after a run that died may have brought their files to where these were
    /// to go: whoever committed there has committed these files, too.
    pub(super) fn tell_of_moved(&self, journal: &Journal) -> Result<(), GitError> {
        self.places(journal)?.iter().try_for_each(|follower| self.tell_if_elsewhere(follower))
    }

    fn tell_if_elsewhere(&self, Follower { place, branch, old, new }: &Follower) -> Result<(), GitError> {
        let Some(tip) = self.repository.tip(branch)? else { return Ok(()) };
        if tip != *old && !self.repository.is_ancestor(*new, tip)? {
            self.observer.warn(&format!(
                "'{}' has gone to {tip}, and files in '{}' may have been those of {new}, where it was to go: look whether \
                 they were committed with 'git diff --stat {old} {tip}'",
                branch.short(),
                place.path.display(),
            ));
        }
        Ok(())
    }

    /// The work trees of the branches that a journal moves, which stand at either end of that.
    fn followers(&self, journal: &Journal) -> Result<Vec<Follower>, GitError> {
        let mut followers = Vec::new();
        for follower in self.places(journal)? {
            let stands = self.repository.tip(&follower.branch)?;
            if [Some(follower.old), Some(follower.new)].contains(&stands) {
                followers.push(follower);
            }
        }
        Ok(followers)
    }

    /// The work trees of the branches that a journal moves. What the power took before it reached the disk is nothing to go to.
    fn places(&self, journal: &Journal) -> Result<Vec<Follower>, GitError> {
        let mut places = Vec::new();
        for change in &journal.changes {
            let Change { name, old: Expected::At(old), new: Some(new), .. } = change else { continue };
            for place in self.checked_out(name)? {
                if self.repository.find(*new)?.is_some() {
                    let (branch, old, new) = (name.clone(), CommitId(*old), CommitId(*new));
                    places.push(Follower { place, branch, old, new });
                }
            }
        }
        Ok(places)
    }

    /// Where the files cannot be brought back it is told.
    fn undo(&self, follower: &Follower, back: impl Fn(&Repository) -> Result<bool, GitError>) {
        let Follower { place, branch, old, .. } = follower;
        let why = match back(self.repository) {
            Ok(true) => return,
            Ok(false) => "somebody has worked on them".to_owned(),
            Err(error) => brief(&error),
        };
        self.observer.warn(&format!(
            "files in '{}' are no longer those of '{}', which stays at {old}, and could not be brought back: {why}; look \
             with 'git status' before you commit",
            place.path.display(),
            branch.short(),
        ));
    }
}
