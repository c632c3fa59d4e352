//! Hunks of a file's two versions, and which of them meet. Pure.

use crate::ids::CommitId;

/// A change of lines, without context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hunk {
    /// Behind how many lines of the old file it begins, and how many of these it takes away.
    old: (usize, usize),
    /// The first line that it puts there, and how many.
    new: (usize, usize),
    /// As git prints it.
    pub(super) text: String,
}

impl Hunk {
    /// The lines that it put there, as `git blame -L` takes them.
    pub(super) fn lines_now(&self) -> Option<String> {
        let (first, count) = self.new;
        (count > 0).then(|| format!("{first},+{count}"))
    }

    /// Whether git merges neither with the other: they touch the same lines, or one begins right where the other ends.
    fn meets(&self, other: &Self) -> bool {
        let ((one, length), (two, other_length)) = (self.old, other.old);
        one <= two + other_length && two <= one + length
    }

    fn parse(header: &str) -> Option<Self> {
        let mut words = header.strip_prefix("@@ -")?.split(' ');
        let (old, new) = (range(words.next()?)?, range(words.next()?.strip_prefix('+')?)?);
        // Of no lines git names the one before.
        let behind = if old.1 == 0 { old.0 } else { old.0.saturating_sub(1) };
        let place = header.find(" @@").map_or(header, |end| &header[..end + 3]);
        Some(Self { old: (behind, old.1), new, text: place.to_owned() })
    }
}

/// `3,2`: two lines from the third on; `3`: that one.
fn range(text: &str) -> Option<(usize, usize)> {
    match text.split_once(',') {
        Some((first, count)) => Some((first.parse().ok()?, count.parse().ok()?)),
        None => Some((text.parse().ok()?, 1)),
    }
}

/// Reads what `git diff --unified=0` printed of one file.
pub(super) fn read(printed: &str) -> Vec<Hunk> {
    let mut hunks: Vec<Hunk> = Vec::new();
    for line in printed.split_terminator('\n') {
        match (Hunk::parse(line), hunks.last_mut()) {
            (Some(hunk), _) => hunks.push(hunk),
            (None, Some(hunk)) => {
                hunk.text.push('\n');
                hunk.text.push_str(line);
            }
            // What stands before the first.
            (None, None) => {}
        }
    }
    hunks
}

/// Those of each side that meet one of the other.
pub(super) fn meeting(ours: &[Hunk], theirs: &[Hunk]) -> (Vec<Hunk>, Vec<Hunk>) {
    let of = |some: &[Hunk], others: &[Hunk]| -> Vec<Hunk> {
        some.iter().filter(|hunk| others.iter().any(|other| hunk.meets(other))).cloned().collect()
    };
    (of(ours, theirs), of(theirs, ours))
}

/// The commits that `git blame --porcelain` names.
pub(super) fn blamed(printed: &[u8]) -> impl Iterator<Item = CommitId> {
    let lines = printed.split(|byte| *byte == b'\n').filter(|line| !line.starts_with(b"\t"));
    lines.filter_map(|line| std::str::from_utf8(line).ok()?.split(' ').next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hunks_meet_where_git_merges_neither() {
        let hunk = |header: &str| Hunk::parse(header).unwrap();
        let change = hunk("@@ -3,2 +3 @@ fn main() {");
        assert_eq!((change.text.as_str(), change.lines_now()), ("@@ -3,2 +3 @@", Some("3,+1".to_owned())));
        for (other, meets) in [
            ("@@ -4 +4 @@", true),
            ("@@ -5 +5 @@", true),
            ("@@ -6 +6 @@", false),
            ("@@ -2 +2 @@", true),
            ("@@ -1 +1 @@", false),
            ("@@ -4,0 +5 @@", true),
            ("@@ -5,0 +6 @@", false),
        ] {
            assert_eq!((change.meets(&hunk(other)), hunk(other).meets(&change)), (meets, meets), "{other}");
        }
        assert_eq!(hunk("@@ -3,2 +2,0 @@").lines_now(), None);
    }

    #[test]
    fn a_hunk_is_what_git_prints_of_it() {
        let read = read("diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n@@ -9,0 +10 @@ c\n+d\n");
        let texts: Vec<&str> = read.iter().map(|hunk| hunk.text.as_str()).collect();
        assert_eq!(texts, ["@@ -1 +1 @@\n-a\n+b", "@@ -9,0 +10 @@\n+d"]);
    }
}
