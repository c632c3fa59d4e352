//! Fetching from and pushing to a remote, by the git program.
//!
//! What belongs together is pushed together and atomically, by object id, with the exact value that each ref is
//! expected to have. Base alone carries no lease, so that git itself refuses to move it anywhere but forward.

use std::path::PathBuf;
use std::time::Duration;

use crate::git::held::lock_there;
use crate::git::notes::notes_ref;
use crate::git::program::{Call, ProgramError, git};
use crate::git::refs::Expected;
use crate::git::{GitError, Repository};
use crate::ids::{ObjectId, RefName};
use crate::interrupt::Interrupt;

/// How one ref of a push may move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    /// Only forward, whatever it is.
    Forward,
    /// Anywhere, but only from this value.
    From(Expected),
}

/// One ref to be moved on a remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushRef {
    /// The ref there.
    pub name: RefName,
    /// Where it goes; `None` deletes it.
    pub new: Option<ObjectId>,
    /// From where it may be moved.
    pub lease: Lease,
}

/// How a push ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pushed {
    /// All refs were moved.
    Done,
    /// The remote answered and moved none. Whether a lease was stale or a rule there forbids it shows when it is fetched
    /// again.
    Refused(Refusals),
    /// The remote did not answer, or the connection was lost: refs may have been moved or not.
    Unreachable(String),
}

/// What a remote said to each ref that it refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusals {
    /// The refs with the remote's words, for people.
    pub refs: Vec<(RefName, String)>,
    /// Everything that git and the remote's hooks printed, for people.
    pub said: String,
    /// What is to be said of a lock file there that keeps refs from moving, if that is why.
    pub lock: Option<String>,
}

impl Refusals {
    /// Whether it may be otherwise in a moment: a ref was locked by somebody, and nobody decided anything.
    pub fn is_passing(&self) -> bool {
        let decided = [
            "hook declined",
            "prohibited",
            "non-fast-forward",
            "fetch first",
            "stale info",
            "denied",
            "hidden",
        ];
        !self.refs.iter().any(|(_, words)| decided.iter().any(|decided| words.contains(decided)))
    }

    /// What the remote's hooks said, in their own words.
    fn remote_words(&self) -> Vec<&str> {
        let words = self.said.lines().filter_map(|line| line.strip_prefix("remote:")).map(str::trim);
        words.filter(|words| !words.is_empty()).collect()
    }
}

impl std::fmt::Display for Refusals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(lock) = &self.lock {
            let names: Vec<&str> = self.refs.iter().map(|(name, _)| name.short()).collect();
            return write!(f, "{}: {lock}", names.join(", "));
        }
        // With --atomic every ref is refused; those that are only carried along say so and explain nothing.
        let carried =
            |words: &str| words.contains("atomic push fail") || words.contains("atomic transaction failed");
        let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
        for (name, words) in &self.refs {
            match reasons.iter_mut().find(|(reason, _)| reason == words) {
                Some((_, names)) => names.push(name.short()),
                None => reasons.push((words, vec![name.short()])),
            }
        }
        if reasons.iter().any(|(words, _)| !carried(words)) {
            reasons.retain(|(words, _)| !carried(words));
        }
        let texts: Vec<String> =
            reasons.iter().map(|(words, names)| format!("{}: {words}", names.join(", "))).collect();
        f.write_str(&texts.join("; "))?;
        match self.remote_words()[..] {
            [] => Ok(()),
            ref words => write!(f, " (the remote says: {})", words.join(" ")),
        }
    }
}

/// The environment variable that tells our hooks that a push or merge is our own.
pub const WITHIN: &str = "GIT_DEPLOY_WITHIN";

/// Where the refs of a remote are kept after a fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracking {
    remote: String,
}

impl Tracking {
    /// For the remote of this name.
    pub fn new(remote: &str) -> Self {
        Self { remote: remote.to_owned() }
    }

    /// The remote's name.
    pub fn remote(&self) -> &str {
        &self.remote
    }

    /// Where the remote's branches are kept: the prefix of their names.
    pub fn heads(&self) -> String {
        format!("refs/remotes/{}/", self.remote)
    }

    /// Where the remote's notes refs are kept.
    pub fn notes(&self) -> String {
        format!("refs/notes/deploy-remote/{}/", self.remote)
    }

    /// Where the remote's `refs/deploy/` is kept.
    pub fn deploy(&self) -> String {
        format!("refs/deploy-remote/{}/", self.remote)
    }

    /// Where the remote's deployment tags are kept: apart from ours, so that one that was tagged here while the remote
    /// was away is neither lost nor overwritten.
    pub fn tags(&self) -> String {
        format!("refs/deploy-remote-tags/{}/", self.remote)
    }

    /// The prefixes of all that a fetch writes.
    fn places(&self) -> [String; 4] {
        [self.heads(), self.notes(), self.deploy(), self.tags()]
    }

    /// The refs that a fetch brings, as git's refspecs.
    fn refspecs(&self) -> [String; 4] {
        [
            format!("+refs/heads/*:{}*", self.heads()),
            format!("+refs/notes/deploy*:{}deploy*", self.notes()),
            format!("+refs/deploy/*:{}*", self.deploy()),
            format!("+refs/tags/deployment-*:{}deployment-*", self.tags()),
        ]
    }

    /// The local ref that keeps what a ref of the remote was when it was last fetched.
    pub fn of(&self, name: &RefName) -> Option<RefName> {
        let places = [
            ("refs/heads/", self.heads()),
            ("refs/notes/", self.notes()),
            ("refs/deploy/", self.deploy()),
            ("refs/tags/", self.tags()),
        ];
        let kept = places
            .iter()
            .find_map(|(prefix, place)| Some(format!("{place}{}", name.as_str().strip_prefix(prefix)?)));
        kept.and_then(|kept| RefName::new(kept).ok())
    }
}

/// Where a fetch by a refspec brings a ref of the remote (`gitrefspecs`).
pub fn brought_to(refspec: &str, from: &str) -> Option<String> {
    let (what, to) = refspec.trim_start_matches('+').split_once(':')?;
    match (what.split_once('*'), to.split_once('*')) {
        (Some((before, after)), Some((to, end))) => {
            let rest = from.strip_prefix(before)?.strip_suffix(after)?;
            Some(format!("{to}{rest}{end}"))
        }
        (None, None) => {
            (what == from || from.strip_prefix("refs/heads/") == Some(what)).then(|| to.to_owned())
        }
        _ => None,
    }
}

impl Repository {
    /// Where the remote is, as git takes its URL (`url.<base>.insteadOf`); of several the one that is fetched from.
    ///
    /// # Errors
    /// When the configuration cannot be read.
    pub fn url(&self, tracking: &Tracking) -> Result<Option<String>, GitError> {
        let remote = tracking.remote();
        if self.config_all(&format!("remote.{remote}.url"))?.is_empty() {
            return Ok(None);
        }
        Ok(Some(git(["remote", "get-url", "--", remote]).text()?))
    }

    /// Whether a plain `git fetch` keeps a branch of a remote where we do. Only then git knows by itself what a lease means.
    ///
    /// # Errors
    /// When the configuration cannot be read.
    pub fn fetch_keeps(&self, tracking: &Tracking, branch: &RefName) -> Result<bool, GitError> {
        let refspecs = self.config_all(&format!("remote.{}.fetch", tracking.remote()))?;
        let kept = tracking.of(branch);
        let to = refspecs.iter().filter_map(|refspec| brought_to(refspec, branch.as_str()));
        Ok(to.into_iter().any(|to| kept.as_ref().is_some_and(|kept| kept.as_str() == to)))
    }

    /// Brings all that counts from a remote, forgetting what is gone there.
    ///
    /// # Errors
    /// When the remote cannot be reached or read.
    pub fn fetch(&self, tracking: &Tracking) -> Result<(), GitError> {
        let options =
            ["fetch", "--quiet", "--prune", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance"];
        let call = git(options).args([
            "--no-recurse-submodules",
            "--refmap=",
            "--end-of-options",
            tracking.remote(),
        ]);
        let call = self.asking(call.args(tracking.refspecs()));
        let _intent = self.intend_below(&tracking.places())?;
        let fetched = match call.run() {
            Err(error @ ProgramError::TimeLimit { .. }) => return Err(error.into()),
            // A fetch of ours that died may have left locks behind.
            Err(_) if self.clear_dead_locks()? => call.run(),
            fetched => fetched,
        };
        // Of a ref of ours that has no value git says that the other side had sent too little.
        fetched.map(drop).map_err(|error| self.with_broken_ref("refs/", error.into()))
    }

    /// Asks a remote for nothing but an answer.
    ///
    /// # Errors
    /// When there is none, in the words of git and of what it runs.
    pub fn ask(&self, tracking: &Tracking) -> Result<(), String> {
        // Ctrl-C ended what made us ask, and whoever wants to stop waits for no answer.
        if let Some(Err(interrupted)) = self.stop.get().map(Interrupt::check) {
            return Err(interrupted.to_string());
        }
        self.ask_for(tracking, &notes_ref()).map(drop)
    }

    /// Asks a remote where a ref stands.
    ///
    /// # Errors
    /// As those of [`Self::ask`].
    pub fn ask_for(&self, tracking: &Tracking, name: &RefName) -> Result<Option<ObjectId>, String> {
        let call = git(["ls-remote", "--quiet", "--end-of-options", tracking.remote(), name.as_str()]);
        match self.asking(call).output() {
            Ok(output) if output.status.success() => {
                let listed = String::from_utf8_lossy(&output.stdout).into_owned();
                // A pattern also fits the ends of longer names.
                let mut lines = listed.lines().filter_map(|line| line.split_once('\t'));
                Ok(lines.find(|(_, listed)| *listed == name.as_str()).and_then(|(id, _)| id.parse().ok()))
            }
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Pushes refs, all or none.
    ///
    /// # Errors
    /// When git cannot be run.
    pub fn push(&self, tracking: &Tracking, refs: &[PushRef]) -> Result<Pushed, GitError> {
        if refs.is_empty() {
            return Ok(Pushed::Done);
        }
        // What is named is all that goes there, also to the remote of a mirror, for which git takes no names.
        let mirror = format!("remote.{}.mirror", tracking.remote());
        let mut call = match self.config(&mirror)? {
            Some(_) => git(["-c", &format!("{mirror}=false"), "push"]),
            None => git(["push"]),
        };
        call = call.args(["--atomic", "--porcelain"]);
        call = call.args(["--no-verify", "--no-follow-tags", "--no-signed", "--recurse-submodules=no"]);
        for PushRef { name, lease, .. } in refs {
            if let Lease::From(expected) = lease {
                let old = match expected {
                    Expected::Absent => String::new(),
                    Expected::At(old) => old.to_string(),
                };
                call = call.arg(format!("--force-with-lease={name}:{old}"));
            }
        }
        call = call.args(["--end-of-options", tracking.remote()]);
        for PushRef { name, new, .. } in refs {
            let new = new.map(|new| new.to_string()).unwrap_or_default();
            call = call.arg(format!("{new}:{name}"));
        }
        // git itself writes down what it pushed to branches.
        let _intent = self.intend_below(&[tracking.heads()])?;
        let output = match self.asking(call).output() {
            Ok(output) => output,
            // What was stopped may have arrived before.
            Err(ProgramError::TimeLimit { limit, .. }) => return Ok(Pushed::Unreachable(hangs(limit))),
            Err(error @ ProgramError::Stopped { .. }) => return Ok(Pushed::Unreachable(error.to_string())),
            Err(error) => return Err(error.into()),
        };
        if output.status.success() {
            return Ok(Pushed::Done);
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let refused = refusals(&String::from_utf8_lossy(&output.stdout));
        if refused.is_empty() {
            return Ok(Pushed::Unreachable(said));
        }
        let refusals = Refusals { refs: refused, said, lock: None };
        // Whatever else is printed there, where somebody has decided that is why.
        let url = || self.url(tracking).ok().flatten();
        let folder = || Some(PathBuf::from(url()?.trim_start_matches("file://")));
        let lock = refusals.is_passing().then(|| lock_there(&refusals.said, folder)).flatten();
        Ok(Pushed::Refused(Refusals { lock, ..refusals }))
    }
}

impl Repository {
    /// A call that waits for a remote, and that our own hooks know to be ours.
    fn asking(&self, call: Call) -> Call {
        let call = call.env(WITHIN, "1").stop_on(self.stop.get().cloned());
        match self.remote_time_limit.get() {
            Some(limit) => call.within(*limit),
            None => call,
        }
    }
}

/// What is said of a remote that has not come to an end within that time.
pub(crate) fn hangs(limit: Duration) -> String {
    let seconds = limit.as_secs();
    format!(
        "it has not come to an end within {seconds} s; if it only takes long: git config deploy.remoteTimeLimit 1h"
    )
}

/// The refused refs in what `git push --porcelain` prints: lines `!<TAB><from>:<to><TAB><words>`.
fn refusals(porcelain: &str) -> Vec<(RefName, String)> {
    let refused = porcelain.lines().filter_map(|line| {
        let mut fields = line.strip_prefix("!\t")?.splitn(2, '\t');
        let (refspec, words) = (fields.next()?, fields.next()?);
        let (_, to) = refspec.split_once(':')?;
        Some((RefName::new(to).ok()?, words.to_owned()))
    });
    refused.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_fetched_is_kept_apart_from_what_is_ours() {
        let tracking = Tracking::new("origin");
        let of = |name: &str| tracking.of(&RefName::new(name).unwrap()).map(|name| name.to_string());
        assert_eq!(of("refs/heads/a/b").unwrap(), "refs/remotes/origin/a/b");
        assert_eq!(of("refs/notes/deploy").unwrap(), "refs/notes/deploy-remote/origin/deploy");
        assert_eq!(of("refs/deploy/lock/base").unwrap(), "refs/deploy-remote/origin/lock/base");
        assert_eq!(
            of("refs/tags/deployment-0001").unwrap(),
            "refs/deploy-remote-tags/origin/deployment-0001"
        );
        assert_eq!(of("refs/stash"), None);
    }

    #[test]
    fn a_refspec_says_where_a_branch_is_brought() {
        for (refspec, to) in [
            ("+refs/heads/*:refs/remotes/origin/*", Some("refs/remotes/origin/master")),
            ("+refs/*:refs/*", Some("refs/heads/master")),
            ("master:refs/remotes/origin/master", Some("refs/remotes/origin/master")),
            ("+refs/heads/next:refs/remotes/origin/next", None),
            ("+refs/notes/deploy*:refs/notes/deploy-remote/origin/deploy*", None),
            ("refs/heads/master", None),
            ("^refs/heads/master", None),
        ] {
            assert_eq!(brought_to(refspec, "refs/heads/master").as_deref(), to, "{refspec}");
        }
    }

    #[test]
    fn a_refused_push_names_what_explains_it() {
        let printed = "To /x\n!\trefs/heads/a:refs/heads/master\t[rejected] (fetch first)\n\
            !\t0123:refs/notes/deploy\t[rejected] (atomic push failed)\nDone\n";
        let refused = Refusals { refs: refusals(printed), said: String::new(), lock: None };
        assert_eq!(refused.refs.len(), 2);
        assert_eq!(refused.to_string(), "master: [rejected] (fetch first)");
    }
}
