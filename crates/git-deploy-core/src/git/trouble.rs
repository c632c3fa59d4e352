//! What keeps anything from being read or written, whatever it is: known by the words of the system, which git and libgit2 pass
//! on.

/// What the system denies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The right to do that.
    Denied,
    /// The room.
    NoRoom,
}

const DENIED: [&str; 3] = ["Permission denied", "Read-only file system", "insufficient permission"];
const NO_ROOM: [&str; 3] = ["No space left on device", "Disk quota exceeded", "Out of diskspace"];

impl Trouble {
    /// What an error says that the system denies, if it does.
    pub fn of(said: &str) -> Option<Self> {
        let says = |words: [&str; 3]| words.iter().any(|words| said.contains(words));
        match () {
            () if says(DENIED) => Some(Self::Denied),
            () if says(NO_ROOM) => Some(Self::NoRoom),
            () => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_told_by_the_words_of_the_system() {
        let read_only = "cannot write a commit: failed to create file: Read-only file system";
        assert_eq!(Trouble::of(read_only), Some(Trouble::Denied));
        assert_eq!(Trouble::of("fatal: write error. Out of diskspace"), Some(Trouble::NoRoom));
        assert_eq!(Trouble::of("object is missing"), None);
    }
}
