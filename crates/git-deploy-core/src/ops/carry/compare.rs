//! Whether commits are what a replay of others makes of them. Pure.

use std::fmt;

use crate::git::object::Commit;
use crate::ids::CommitId;
use crate::ops::approve::Content;

/// A commit of a branch, as far as it is compared.
#[derive(Debug, Clone)]
pub(super) struct Compared {
    commit: CommitId,
    content: Content,
}

impl Compared {
    pub(super) fn of(id: CommitId, commit: Commit) -> Self {
        Self { commit: id, content: Content::of(commit) }
    }

    fn words(&self) -> (&[u8], &[u8]) {
        (&self.content.message, &self.content.author)
    }
}

/// What is other than a replay would make it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// There are fewer commits.
    Fewer,
    /// There are more commits.
    More,
    /// The commits stand in another order.
    Order,
    /// A commit has another author.
    Author(CommitId),
    /// A commit has another message.
    Message(CommitId),
    /// A commit has another tree.
    Tree(CommitId),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fewer => f.write_str("it has fewer commits than before"),
            Self::More => f.write_str("it has more commits beyond base than before"),
            Self::Order => f.write_str("its commits are in another order"),
            Self::Author(commit) => write!(f, "commit '{}' has another author", commit.brief()),
            Self::Message(commit) => write!(f, "commit '{}' has another message", commit.brief()),
            Self::Tree(commit) => write!(f, "commit '{}' has another content", commit.brief()),
        }
    }
}

/// The first difference between what a replay made and what is there. Both in the same order.
pub(super) fn difference(replayed: &[Compared], found: &[Compared]) -> Option<Difference> {
    if found.len() != replayed.len() {
        let fewer = found.len() < replayed.len();
        return Some(if fewer { Difference::Fewer } else { Difference::More });
    }
    let pairs = || replayed.iter().zip(found);
    if pairs().any(|(replayed, found)| replayed.words() != found.words()) && has_same_words(replayed, found) {
        return Some(Difference::Order);
    }
    pairs().find_map(|(replayed, found)| {
        let (commit, replayed, found) = (found.commit, &replayed.content, &found.content);
        if replayed.author != found.author {
            Some(Difference::Author(commit))
        } else if replayed.message != found.message {
            Some(Difference::Message(commit))
        } else {
            (replayed.tree != found.tree).then_some(Difference::Tree(commit))
        }
    })
}

fn has_same_words(one: &[Compared], two: &[Compared]) -> bool {
    let sorted = |commits| {
        let mut words = Vec::from_iter(<[Compared]>::iter(commits).map(Compared::words));
        words.sort();
        words
    };
    sorted(one) == sorted(two)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(commit: u8, author: &str, message: &str, tree: u8) -> Compared {
        let id = |number: u8| format!("{number:040x}").parse().unwrap();
        let text = format!(
            "tree {tree:040x}\nauthor {author} {commit} +0000\ncommitter C <c@d> {commit} +0000\ngpgsig {commit}\n\n{message}"
        );
        Compared::of(CommitId(id(commit)), Commit::parse(text.as_bytes()).unwrap())
    }

    fn series(contents: &[(&str, &str, u8)], first: u8) -> Vec<Compared> {
        let numbered = (first..).zip(contents);
        numbered.map(|(commit, (author, message, tree))| content(commit, author, message, *tree)).collect()
    }

    #[test]
    fn only_dates_committers_and_signatures_may_differ() {
        let old = [("A <a@b>", "one", 1), ("A <a@b>", "two", 2)];
        let differs = |new: &[(&str, &str, u8)]| difference(&series(&old, 10), &series(new, 20));
        let second = CommitId(format!("{:040x}", 21).parse().unwrap());
        assert_eq!(differs(&old), None);
        assert_eq!(differs(&old[..1]), Some(Difference::Fewer));
        assert_eq!(differs(&[old[0], old[1], old[1]]), Some(Difference::More));
        assert_eq!(differs(&[old[1], old[0]]), Some(Difference::Order));
        assert_eq!(differs(&[old[0], ("B <a@b>", "two", 2)]), Some(Difference::Author(second)));
        assert_eq!(differs(&[old[0], ("A <b@b>", "two", 2)]), Some(Difference::Author(second)));
        assert_eq!(differs(&[old[0], ("A <a@b>", "two ", 2)]), Some(Difference::Message(second)));
        assert_eq!(differs(&[old[0], ("A <a@b>", "two", 3)]), Some(Difference::Tree(second)));
    }
}
