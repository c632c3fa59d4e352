//! What was set up here, so that exactly this can be undone: text to value and back.
//!
//! The record is written before anything it tells of is done. Taking out again looks at what is really there, so that a
//! record that promises too much does no harm.

use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

/// The name of the record below git's folder `deploy`.
pub(super) const NAME: &str = "init";

const HEADING: &str = "# What 'git deploy-init' has set up here; 'git deploy-init --remove' reads it.\n";

/// One thing that was set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    /// The folder of git that it was set up for.
    Place { path: String },
    /// A hook of that content stands there.
    Hook { digest: String, path: String },
    /// A file of that content, at that path of the work tree.
    File { digest: String, path: String },
    /// A folder that was not there before.
    Folder { path: String },
    /// A value in the repository's own configuration.
    Config { key: String, value: String },
    /// A hook that is installed on request alone was requested.
    Requested { hook: String },
}

impl Entry {
    fn parse(line: &str) -> Option<Self> {
        let (kind, rest) = line.split_once(' ')?;
        match kind {
            "place" => return Some(Self::Place { path: rest.to_owned() }),
            "folder" => return Some(Self::Folder { path: rest.to_owned() }),
            "requested" => return Some(Self::Requested { hook: rest.to_owned() }),
            _ => {}
        }
        let (one, two) = rest.split_once('\t')?;
        let (one, two) = (one.to_owned(), two.to_owned());
        match kind {
            "hook" => Some(Self::Hook { digest: one, path: two }),
            "file" => Some(Self::File { digest: one, path: two }),
            "config" => Some(Self::Config { key: one, value: two }),
            _ => None,
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Place { path } => write!(f, "place {path}"),
            Self::Hook { digest, path } => write!(f, "hook {digest}\t{path}"),
            Self::File { digest, path } => write!(f, "file {digest}\t{path}"),
            Self::Folder { path } => write!(f, "folder {path}"),
            Self::Config { key, value } => write!(f, "config {key}\t{value}"),
            Self::Requested { hook } => write!(f, "requested {hook}"),
        }
    }
}

/// All that was set up here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) entries: Vec<Entry>,
}

impl Record {
    /// Lines that a newer version wrote and that mean nothing here are passed over.
    pub(super) fn parse(text: &str) -> Self {
        Self { entries: text.lines().filter_map(Entry::parse).collect() }
    }

    /// The same for the folder of git in which it was found. What lies in a repository was moved or copied with it; what lies
    /// elsewhere is the original's, as long as that is there.
    pub(super) fn at(mut self, git_folder: &Path) -> Self {
        let place = self.entries.iter().find_map(|entry| match entry {
            Entry::Place { path } => Some(PathBuf::from(path)),
            _ => None,
        });
        if let Some(place) = place.filter(|place| place != git_folder) {
            let (from, to) = (root(&place), root(git_folder));
            let is_copy = place.is_dir();
            self.entries.retain_mut(|entry| match entry {
                Entry::Place { .. } => false,
                Entry::Hook { path, .. } | Entry::Folder { path } => match Path::new(path).strip_prefix(from)
                {
                    Ok(rest) => {
                        *path = to.join(rest).to_string_lossy().into_owned();
                        true
                    }
                    Err(_) => !is_copy,
                },
                Entry::File { .. } | Entry::Config { .. } | Entry::Requested { .. } => true,
            });
        }
        self.add(Entry::Place { path: git_folder.to_string_lossy().into_owned() });
        self
    }

    /// Adds what is not in it yet.
    pub(super) fn add(&mut self, entry: Entry) {
        // What does not fit into a line is not recorded: taking out leaves it and says so.
        if !self.entries.contains(&entry) && !entry.to_string().contains(['\n', '\r']) {
            self.entries.push(entry);
        }
    }

    /// Whether a hook of that content was written by us.
    pub(super) fn knows_hook(&self, digest: &str) -> bool {
        self.entries.iter().any(|entry| matches!(entry, Entry::Hook { digest: known, .. } if known == digest))
    }

    /// The hooks that were written, where they were put.
    pub(super) fn hooks(&self) -> impl Iterator<Item = PathBuf> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Hook { path, .. } => Some(PathBuf::from(path)),
            _ => None,
        })
    }

    /// Whether that hook was requested.
    pub(super) fn has_requested(&self, hook: &str) -> bool {
        self.entries.contains(&Entry::Requested { hook: hook.to_owned() })
    }

    /// Whether any value of a key was configured by us.
    pub(super) fn has_configured(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| matches!(entry, Entry::Config { key: known, .. } if known == key))
    }

    /// Whether this value of a key was configured by us.
    pub(super) fn configured(&self, key: &str, value: &str) -> bool {
        self.entries.contains(&Entry::Config { key: key.to_owned(), value: value.to_owned() })
    }

    /// Whether a file of that content was written by us at that path.
    pub(super) fn knows_file(&self, digest: &str, path: &str) -> bool {
        self.entries.contains(&Entry::File { digest: digest.to_owned(), path: path.to_owned() })
    }
}

/// What is moved or copied as a whole: the work tree around a folder of git, or that folder.
fn root(git_folder: &Path) -> &Path {
    let is_inside = git_folder.file_name().is_some_and(|name| name == ".git");
    git_folder.parent().filter(|_| is_inside).unwrap_or(git_folder)
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HEADING)?;
        for entry in &self.entries {
            write!(f, "{entry}")?;
            f.write_char('\n')?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_read_again() {
        let mut record = Record::default();
        let text = |text: &str| text.to_owned();
        record.add(Entry::Hook { digest: text("ab"), path: text("/a b/pre-push") });
        record.add(Entry::File { digest: text("cd"), path: text("deploy.toml") });
        record.add(Entry::Folder { path: text("/a b/hooks") });
        record.add(Entry::Config { key: text("remote.a b.fetch"), value: text("+refs/x y:z") });
        record.add(Entry::Requested { hook: text("post-commit") });
        record.add(Entry::Folder { path: text("/a b/hooks") });
        assert_eq!(record.entries.len(), 5);
        assert_eq!(Record::parse(&record.to_string()), record);
    }

    #[test]
    fn a_line_from_the_future_is_passed_over() {
        assert_eq!(
            Record::parse("wheel 1\nfolder /x\n\nhook\n").entries,
            [Entry::Folder { path: "/x".into() }]
        );
    }

    #[test]
    fn a_path_that_fits_into_no_line_is_not_recorded() {
        let mut record = Record::default();
        record.add(Entry::Folder { path: "a\nfolder /etc".into() });
        assert_eq!(record, Record::default());
    }
}
