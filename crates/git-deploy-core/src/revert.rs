//! Whether history takes back what a deployment brought. Pure.
//!
//! It does so in the words that `git revert` writes, commit by commit, or by going back to the very files of before.

use crate::ids::{CommitId, ObjectId, RefName};

/// What stands in front of the id in a message that `git revert` wrote.
pub(crate) const WORDS: &str = "This reverts commit ";

/// A shorter beginning of an id could mean many.
const SHORTEST: usize = 7;

/// One commit of a stretch of history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// The commit.
    pub id: CommitId,
    /// What it holds.
    pub tree: ObjectId,
    /// The commit before it, the first if there are several.
    pub parent: Option<CommitId>,
    /// Its message.
    pub message: String,
}

/// The commits that a deployment brought, and what history did after them.
#[derive(Debug, Clone, Copy)]
pub struct Brought<'a> {
    /// They themselves, in any order.
    pub commits: &'a [Logged],
    /// The files of before; none where that is not known.
    pub before: Option<ObjectId>,
    /// The commits after them, newest first.
    pub after: &'a [Logged],
}

impl Brought<'_> {
    /// Whether nothing of them is left, as far as history says.
    pub fn is_taken_back(&self) -> bool {
        let mut named: Vec<&str> = Vec::new();
        // Newest first: a revert that was itself reverted counts for nothing.
        for (at, commit) in self.after.iter().enumerate() {
            if Some(commit.tree) == self.before
                && !self.after[at..].iter().any(|older| is_named(older.id, &named))
            {
                return true;
            }
            if !is_named(commit.id, &named) {
                named.extend(reverted(&commit.message));
            }
        }
        self.commits.iter().all(|commit| is_named(commit.id, &named) || self.is_empty(commit))
    }

    /// Whether a commit changed no file: git has nothing to revert there.
    fn is_empty(&self, commit: &Logged) -> bool {
        let parent = self.commits.iter().find(|other| Some(other.id) == commit.parent);
        parent.map(|parent| parent.tree).or(self.before) == Some(commit.tree)
    }
}

/// What base has done with what a branch brings: it has had that, and no rebase brings it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenBack {
    /// The commits that took it back, the newest first.
    pub by: Vec<CommitId>,
    /// Whether they took back all of it.
    pub is_whole: bool,
    /// Base where it counts.
    pub base: RefName,
    /// A branch that is not there yet, which brings it again if it begins at base and reverts those in their order; none where
    /// that would conflict, or would bring again what else they took back, of which somebody else decides.
    pub again: Option<RefName>,
    /// A branch that is there and has not landed: by its name it was made to bring that again.
    pub there: Option<RefName>,
    /// What has come upon that since, where it is only what a branch begins with: it stands on the first, and ends with the second.
    pub rest: Option<(CommitId, CommitId)>,
}

impl TakenBack {
    /// How much they took back, in words.
    pub fn much(&self) -> &'static str {
        if self.is_whole { "it" } else { "some of it" }
    }

    /// The commits that took it back, as they are shown.
    pub fn reverts(&self) -> String {
        let short: Vec<String> = self.by.iter().map(|commit| format!("'{}'", commit.brief())).collect();
        short.join(", ")
    }
}

/// With which commits a history has got something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Came {
    /// Those that brought it, each its part.
    pub own: Vec<CommitId>,
    /// The merge that brought them, if that is how they came.
    pub merge: Option<CommitId>,
    /// Whether the merge brought something else besides.
    pub has_others: bool,
}

/// What reverts have done to something that came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reverting {
    /// The commits that revert some of it, the newest first.
    pub by: Vec<CommitId>,
    /// Those among them that revert something else besides.
    pub beyond: Vec<CommitId>,
    /// Whether they revert all of it.
    pub is_whole: bool,
}

/// The commits that revert some of what came, among reverts that are given newest first, unless another one reverts them in turn.
pub fn reverting(reverts: &[Logged], came: &Came) -> Reverting {
    let (mut named, mut found): (Vec<&str>, Reverting) = (Vec::new(), Reverting::default());
    let merge_alone = came.merge.filter(|_| !came.has_others);
    let is_alone = |name: &&str| came.own.iter().chain(&merge_alone).any(|id| is_named(*id, &[*name]));
    for commit in reverts {
        if is_named(commit.id, &named) {
            continue;
        }
        let takes_back: Vec<&str> = reverted(&commit.message).collect();
        if came.own.iter().chain(&came.merge).any(|id| is_named(*id, &takes_back)) {
            found.by.push(commit.id);
            let is_beyond = !takes_back.iter().all(is_alone);
            found.beyond.extend(is_beyond.then_some(commit.id));
        }
        named.extend(takes_back);
    }
    let is_merge_named = came.merge.is_some_and(|merge| is_named(merge, &named));
    found.is_whole = is_merge_named || came.own.iter().all(|id| is_named(*id, &named));
    found
}

/// Those of some commits that reverts take back, which are given newest first, unless another one reverts them in turn.
pub fn taken_back(commits: impl Iterator<Item = CommitId>, reverts: &[Logged]) -> Vec<CommitId> {
    let mut named: Vec<&str> = Vec::new();
    for revert in reverts {
        if !is_named(revert.id, &named) {
            named.extend(reverted(&revert.message));
        }
    }
    commits.filter(|commit| is_named(*commit, &named)).collect()
}

/// The ids that a message says to revert; `revert.reference` shortens them.
pub(crate) fn reverted(message: &str) -> impl Iterator<Item = &str> {
    message.split(WORDS).skip(1).filter_map(|rest| {
        let end = rest.find(|letter: char| !letter.is_ascii_hexdigit()).unwrap_or(rest.len());
        (end >= SHORTEST).then_some(&rest[..end])
    })
}

fn is_named(id: CommitId, named: &[&str]) -> bool {
    let id = id.to_string();
    named.iter().any(|beginning| id.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(id: char, tree: char, parent: char, message: &str) -> Logged {
        let digits = |digit: char| digit.to_string().repeat(40);
        Logged {
            id: digits(id).parse().unwrap(),
            tree: digits(tree).parse().unwrap(),
            parent: Some(digits(parent).parse().unwrap()),
            message: message.to_owned(),
        }
    }

    fn reverts(id: char) -> String {
        format!("Revert something\n\n{WORDS}{}.\n", id.to_string().repeat(40))
    }

    fn is_taken_back(commits: &[Logged], after: &[Logged]) -> bool {
        let before = Some("0".repeat(40).parse().unwrap());
        Brought { commits, before, after }.is_taken_back()
    }

    #[test]
    fn each_commit_has_to_be_reverted() {
        let brought = [commit('2', '2', '1', "B"), commit('1', '1', 'f', "A")];
        let (one, two) = (commit('3', '3', '2', &reverts('2')), commit('4', '4', '3', &reverts('1')));
        assert!(!is_taken_back(&brought, &[]));
        assert!(!is_taken_back(&brought, std::slice::from_ref(&one)));
        assert!(is_taken_back(&brought, &[two, one]));
    }

    #[test]
    fn what_reverts_some_of_what_was_brought_is_found_unless_it_was_reverted() {
        let [brought, other] = ['1', '9'].map(|id| commit(id, id, 'f', "A").id);
        let one = commit('2', '2', '1', &reverts('1'));
        let two = commit('3', '3', '2', &reverts('2'));
        let three = commit('4', '4', '3', &reverts('3'));
        let found = |reverts: &[Logged], own: &[CommitId], merge| {
            let found = reverting(reverts, &Came { own: own.to_vec(), merge, has_others: false });
            assert_eq!(found.beyond, []);
            (found.by, found.is_whole)
        };
        let only = std::slice::from_ref(&one);
        assert_eq!(found(only, &[other], None), (vec![], false));
        assert_eq!(found(only, &[other, brought], None), (vec![one.id], false));
        assert_eq!(found(only, &[other], Some(brought)), (vec![one.id], true));
        assert_eq!(found(&[two.clone(), one.clone()], &[brought], None), (vec![], false));
        assert_eq!(found(&[three, two, one.clone()], &[brought], None), (vec![one.id], true));
    }

    #[test]
    fn what_reverts_something_else_besides_is_told_apart() {
        let [ours, theirs, merge] = ['1', '2', '3'].map(|id| commit(id, id, 'f', "A").id);
        let both = commit('4', '4', '3', &format!("{}{}", reverts('1'), reverts('2')));
        let merged = commit('5', '5', '4', &reverts('3'));
        let beyond = |revert: &Logged, own: &[CommitId], has_others| {
            let came = Came { own: own.to_vec(), merge: Some(merge), has_others };
            !reverting(std::slice::from_ref(revert), &came).beyond.is_empty()
        };
        assert!(beyond(&both, &[ours], false) && !beyond(&both, &[ours, theirs], true));
        assert!(beyond(&merged, &[ours], true) && !beyond(&merged, &[ours], false));
    }

    #[test]
    fn a_revert_that_was_reverted_counts_for_nothing() {
        let brought = [commit('1', '1', 'f', "A")];
        let one = commit('2', '2', '1', &reverts('1'));
        let two = commit('3', '3', '2', &reverts('2'));
        let three = commit('4', '4', '3', &reverts('3'));
        assert!(!is_taken_back(&brought, &[two.clone(), one.clone()]));
        assert!(is_taken_back(&brought, &[three, two, one]));
    }

    #[test]
    fn of_some_commits_those_are_taken_back_whose_revert_was_not_reverted() {
        let [one, other] = ['1', '9'].map(|id| commit(id, id, 'f', "A").id);
        let reverted = commit('2', '2', '1', &reverts('1'));
        let again = commit('3', '3', '2', &reverts('2'));
        let found = |reverts: &[Logged]| taken_back([one, other].into_iter(), reverts);
        assert_eq!(found(std::slice::from_ref(&reverted)), [one]);
        assert_eq!(found(&[again, reverted]), []);
        assert_eq!(found(&[]), []);
    }

    #[test]
    fn the_files_of_before_count_for_nothing_where_that_was_reverted() {
        let brought = [commit('1', '1', 'f', "A")];
        let one = commit('2', '0', '1', "Undo");
        let two = commit('3', '1', '2', &reverts('2'));
        assert!(is_taken_back(&brought, std::slice::from_ref(&one)));
        assert!(!is_taken_back(&brought, &[two, one]));
    }

    #[test]
    fn the_very_files_of_before_take_back_everything() {
        let brought = [commit('2', '2', '1', "B"), commit('1', '1', 'f', "A")];
        assert!(is_taken_back(&brought, &[commit('4', '4', '3', "C"), commit('3', '0', '2', "Undo")]));
    }

    #[test]
    fn a_commit_that_changed_nothing_need_not_be_reverted() {
        let brought = [commit('2', '1', '1', "Empty"), commit('1', '1', 'f', "A")];
        assert!(is_taken_back(&brought, &[commit('3', '3', '2', &reverts('1'))]));
    }

    #[test]
    fn a_shortened_id_is_understood_and_a_single_letter_is_not() {
        let brought = [commit('1', '1', 'f', "A")];
        let says = |id: &str| commit('2', '2', '1', &format!("{WORDS}{id} (A, 2026-11-20)."));
        assert!(is_taken_back(&brought, &[says("1111111")]));
        assert!(!is_taken_back(&brought, &[says("1")]));
    }
}
