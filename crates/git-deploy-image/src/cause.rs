//! Whose fault it is that an image could not be made or pushed.

/// Who can do something about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The commit's own files: another commit is needed.
    Commit,
    /// The machine, its configuration or the registry's: somebody has to mend it, and then the same commit will do.
    Setup,
    /// Nothing that has to be mended: it passes by itself.
    Passing,
}
