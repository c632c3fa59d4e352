//! Shells that end at the first failing command, for lines and scripts that do not say so themselves.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::place::{Notes, Place};
use super::{find, succeeds};
use crate::run::Program;

/// What the shell of a step's line is called, for its messages.
const LINE: &str = "step";

/// The shells of this machine, and what is put in front of them.
pub(super) struct Shells {
    sh: PathBuf,
    bash: Option<PathBuf>,
    has_pipefail: bool,
    /// A folder for the search path, with an `sh` that is strict with scripts of the tree.
    bin: PathBuf,
    /// What bash reads before each script.
    rc: PathBuf,
    /// Where it notes at which command it ended.
    notes: Notes,
}

impl Shells {
    /// Looks for them, and writes what goes in front of them into a folder of our own.
    pub(super) fn find(tree: &Path, scratch: &Path) -> io::Result<Self> {
        let sh = find("sh").unwrap_or_else(|| PathBuf::from("/bin/sh"));
        let has_pipefail = succeeds(&Program::new(&sh).args(["-c", "set -o pipefail"]));
        let this = Self {
            sh,
            bash: find("bash"),
            has_pipefail,
            bin: scratch.join("bin"),
            rc: scratch.join("before-bash"),
            notes: Notes::within(scratch),
        };
        fs::create_dir(&this.bin)?;
        let file = this.bin.join("sh");
        fs::write(&file, this.in_front_of_sh(tree))?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
        fs::write(&this.rc, this.before_bash(tree))?;
        Ok(this)
    }

    pub(super) fn bash(&self) -> Option<&Path> {
        self.bash.as_deref()
    }

    /// Where a step failed that ended with that status, as far as that is known.
    pub(super) fn failed_at(&self, step: &str, status: Option<i32>) -> Option<Place> {
        self.notes.of(step, status?)
    }

    /// Puts them in front of what a step finds.
    pub(super) fn set(&self, variables: &mut BTreeMap<OsString, OsString>) {
        self.notes.clear();
        let mut path = self.bin.clone().into_os_string();
        if let Some(rest) = variables.get(std::ffi::OsStr::new("PATH")) {
            path.push(":");
            path.push(rest);
        }
        variables.insert("PATH".into(), path);
        variables.insert("BASH_ENV".into(), self.rc.clone().into());
    }

    /// The strict `sh`, as words: by the real one, for where nothing may be executed in the temporary folder.
    fn strict_sh(&self) -> String {
        format!("{} {}", quoted(&self.sh), quoted(&self.bin.join("sh")))
    }

    /// What runs the line of a step.
    pub(super) fn line(&self, step: &str, tree: &Path) -> Program {
        let mut script = String::new();
        match &self.bash {
            Some(bash) => {
                // In bash a function may be called like a file, and is found first.
                for word in words(step) {
                    if let Some(options) = options_of_sh(&tree.join(word)) {
                        let sh = self.strict_sh();
                        script.push_str(&format!("function {word} {{ {sh} {options} {word} \"$@\"; }}\n"));
                    }
                }
                script.push_str(step);
                Program::new(bash).args(["-e", "-o", "pipefail", "-c", &script, LINE])
            }
            None => {
                let first = words(step).next().filter(|word| step.trim_start().starts_with(word));
                if let Some(options) = first.and_then(|word| options_of_sh(&tree.join(word))) {
                    script.push_str(&format!("{} {options} ", self.strict_sh()));
                }
                script.push_str(step.trim_start());
                let pipefail: &[&str] = if self.has_pipefail { &["-o", "pipefail"] } else { &[] };
                Program::new(&self.sh).args(["-e"]).args(pipefail).args(["-c", &script, LINE])
            }
        }
    }

    /// The first operand of `sh` is its script; with `-c` or `-s` there is none.
    fn in_front_of_sh(&self, tree: &Path) -> String {
        let sh = quoted(&self.sh);
        let strict = match &self.bash {
            _ if self.has_pipefail => format!("{sh} -e -o pipefail"),
            Some(bash) => format!("{} --posix -e -o pipefail", quoted(bash)),
            None => format!("{sh} -e"),
        };
        let tree = quoted(tree);
        format!(
            r#"#!/bin/sh
# A script of the tree that is built ends at its first failing command; all others run as ever.
script= skip=
for word do
  if [ "$skip" ]; then skip=; continue; fi
  case $word in
    --*) ;;
    [-+]*[cs]*) break ;;
    [-+]o) skip=1 ;;
    [-+]*) ;;
    *) script=$word; break ;;
  esac
done
tree={tree}
case $script in
  */*) at=$(CDPATH= cd -P -- "${{script%/*}}/" 2>/dev/null && pwd -P) || at= ;;
  ?*) at=$(pwd -P) ;;
  *) at= ;;
esac
case $at/ in
  "$tree"/*) exec {strict} "$@" ;;
esac
exec {sh} "$@"
"#
        )
    }

    fn before_bash(&self, tree: &Path) -> String {
        let tree = quoted(tree);
        let (in_line, in_scripts) = (self.notes.traps_in_line(), self.notes.trap_in_scripts());
        format!(
            r#"# A script of the tree that is built ends at its first failing command; all others run as ever.
if [[ $0 = {LINE} ]]; then
{in_line}
elif [[ -f $0 ]] && (
  set +eu
  case $0 in */*) CDPATH= cd -P -- "${{0%/*}}/" 2>/dev/null || exit 1 ;; esac
  case $(pwd -P)/ in {tree}/*) exit 0 ;; esac
  exit 1
); then set -e -o pipefail; {in_scripts}; fi
"#
        )
    }
}

/// As a word of `sh`.
pub(super) fn quoted(path: &Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', r"'\''"))
}

/// What may be the path of a script in a line: other characters are the shell's.
fn words(step: &str) -> impl Iterator<Item = &str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_./+-".contains(c);
    let mut words: Vec<&str> = step.split(move |c| !is_plain(c)).collect();
    words.retain(|word| word.contains('/') && !word.starts_with('-'));
    let mut seen = std::collections::BTreeSet::new();
    words.retain(|word| seen.insert(*word));
    words.into_iter()
}

/// If a file is a script for `sh` that may be run: the options in its first line.
fn options_of_sh(file: &Path) -> Option<String> {
    let metadata = fs::metadata(file).ok()?;
    if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 {
        return None;
    }
    let mut line = Vec::new();
    BufReader::new(fs::File::open(file).ok()?.take(256)).read_until(b'\n', &mut line).ok()?;
    let line = std::ffi::OsStr::from_bytes(&line).to_str()?.strip_prefix("#!")?.trim();
    let (program, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let is_option = |rest: &str| {
        rest.is_empty()
            || rest.strip_prefix('-').is_some_and(|rest| rest.chars().all(|c| c.is_ascii_alphabetic()))
    };
    let is_sh = program.rsplit('/').next() == Some("sh");
    (is_sh && is_option(rest.trim())).then(|| rest.trim().to_owned())
}
