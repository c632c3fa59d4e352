//! Clones that decide about the same branches and exchange states at random: all must end with the same notes, and no
//! decision may be lost.
//!
//! What must come out is written down beside, by the rule of the design alone: of each line of rebases the most careful of the
//! decisions that no other one has replaced, and of equals that with the highest `rev`. One thing happens after the other, so
//! that a seed gives the same again.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Output, Repo, Sandbox};

/// How many branches the clones have in common.
const BRANCHES: u64 = 12;

/// The states that somebody can decide for, the more careful ones last.
const STATES: [&str; 3] = ["deployable", "staged", "development"];

/// What the clones are to do.
#[derive(Debug, Clone, Copy)]
pub struct Exchange {
    /// How many clones there are.
    pub clones: u64,
    /// How many changes each of them makes.
    pub changes: u64,
    /// Another one gives other changes, in another order.
    pub seed: u64,
}

/// Clones of one bare repository, that of the runner.
struct Team {
    remote: Repo,
    clones: Vec<Repo>,
    random: Random,
    /// The decisions, each with the commit that it was made about.
    made: Vec<(String, Decision)>,
}

/// Lets clones decide, amend, delete and force-push branches while a runner rebases them, and exchange states in between.
/// Returns how many decisions were made.
///
/// # Panics
/// If the notes differ in the end, or a decision is lost.
pub fn exchange_at_random(sandbox: &Sandbox, exchange: Exchange, mut told: impl FnMut(u64)) -> usize {
    let mut team = Team::new(sandbox, exchange);
    let changes = exchange.clones * exchange.changes;
    for n in 1..=changes {
        team.change();
        told(n);
    }
    // What each has gets there by the first round, and everywhere by the second.
    for clone in team.clones.iter().chain(&team.clones) {
        sync(clone).success();
    }
    team.is_of_one_mind();
    team.has_lost_nothing();
    team.made.len()
}

impl Team {
    fn new(sandbox: &Sandbox, exchange: Exchange) -> Self {
        let remote = sandbox.bare("team.git");
        let seed = sandbox.repository("seed");
        seed.commit("a.txt", "a\n", "Begin");
        seed.add_remote("origin", &remote);
        for number in 0..BRANCHES {
            seed.git(&["branch", &format!("b{number}")]);
        }
        seed.git(&["push", "--quiet", "origin", "--all"]);
        let mut random = Random(exchange.seed);
        let clones = (0..exchange.clones)
            .map(|number| {
                let clone = remote.clone_to(&format!("clone-{number}"));
                // Some publish each decision, and some with each push; the others only when they sync.
                clone.set_config("deploy.publish", if number.is_multiple_of(5) { "true" } else { "false" });
                if number % 5 == 1 {
                    clone.deploy("deploy-init", &[]);
                }
                clone
            })
            .collect();
        random.next();
        let mut team = Self { remote, clones, random, made: Vec::new() };
        for number in 0..BRANCHES {
            team.commit(0, &format!("b{number}"));
        }
        team
    }

    /// One clone makes one change, or the runner moves base.
    fn change(&mut self) {
        let clone = self.random.below(self.clones.len() as u64) as usize;
        let branch = format!("b{}", self.random.below(BRANCHES));
        match self.random.below(100) {
            0..64 => self.decide(clone, &branch),
            64..74 => self.commit(clone, &branch),
            74..80 => self.amend(clone, &branch),
            80..83 => self.delete(&branch),
            83..88 => self.move_base(),
            88..93 => drop(self.clones[clone].try_git(&["fetch", "--quiet", "--prune"])),
            _ => drop(sync(&self.clones[clone]).success()),
        }
    }

    /// Decides, if that is allowed, by a clock that is days off, and writes the decision down.
    fn decide(&mut self, clone: usize, branch: &str) {
        let state = STATES[self.random.below(3) as usize];
        let clone_of = &self.clones[clone];
        let day = 1 + clone % 28;
        let set = clone_of.command("git-deploy-state").args(["set", "--quiet", state, branch]);
        let set = set.env("GIT_COMMITTER_DATE", format!("2026-11-{day:02}T12:00:00Z")).output();
        // Refused: the branch is gone, has nothing of its own, or another one on its commit is in another state.
        let Some(tip) = clone_of.tip(&format!("refs/remotes/origin/{branch}")) else { return };
        if set.code != Some(0) {
            assert!(matches!(set.code, Some(1 | 128)), "{set}");
            return;
        }
        let note = clone_of.try_git(&["notes", "--ref=deploy", "show", &tip]);
        if note.code != Some(0) {
            assert_eq!(state, "development", "{set}\n{note}");
            return;
        }
        let made = Decision::of(clone_of, &note.stdout);
        self.made.push((tip, made));
    }

    /// Puts a commit onto the branch as this clone knows it, or onto base, whatever stands on the remote meanwhile.
    fn commit(&mut self, clone: usize, branch: &str) {
        let known = self.known(clone, branch).unwrap_or_else(|| "origin/master".to_owned());
        self.push(clone, branch, &known, &known);
    }

    fn amend(&mut self, clone: usize, branch: &str) {
        if let Some(known) = self.known(clone, branch) {
            self.push(clone, branch, &known, &format!("{known}~"));
        }
    }

    fn known(&self, clone: usize, branch: &str) -> Option<String> {
        let name = format!("origin/{branch}");
        self.clones[clone].tip(&name).map(|_| name)
    }

    fn push(&mut self, clone: usize, branch: &str, tree: &str, parent: &str) {
        let message = format!("Change {}", self.random.next());
        let clone = &self.clones[clone];
        if clone.tip(parent).is_none() {
            return;
        }
        let tree = format!("{tree}^{{tree}}");
        let commit = clone.git(&["commit-tree", "-p", parent, "-m", &message, &tree]);
        clone.git(&[
            "push",
            "--quiet",
            "--force",
            "origin",
            &format!("{}:refs/heads/{branch}", commit.line()),
        ]);
    }

    fn delete(&self, branch: &str) {
        self.remote.git(&["update-ref", "-d", &format!("refs/heads/{branch}")]);
    }

    /// The runner works where the branches are.
    fn move_base(&mut self) {
        let message = format!("Move base {}", self.random.next());
        let commit = self.remote.git(&["commit-tree", "-p", "master", "-m", &message, "master^{tree}"]);
        self.remote.git(&["update-ref", "refs/heads/master", commit.line()]);
        self.remote.command("git-deploy-rebase").arg("--quiet").output().success();
    }

    fn is_of_one_mind(&self) {
        let tree = |repo: &Repo| repo.id("refs/notes/deploy^{tree}");
        for clone in &self.clones {
            assert_eq!(tree(clone), tree(&self.remote), "{}", clone.path().display());
            clone.fsck();
        }
        self.remote.fsck();
    }

    /// Which commits are of one line shows only in the end: who decides may not know yet that a commit is a rebase.
    fn has_lost_nothing(&self) {
        let notes = notes(&self.remote);
        let line = |commit: &str| value(&notes[commit], "root").unwrap_or(commit).to_owned();
        let replaced: BTreeSet<&String> = self.made.iter().flat_map(|(_, made)| &made.replaces).collect();
        let mut standing: BTreeMap<String, Vec<&Decision>> = BTreeMap::new();
        for (commit, made) in &self.made {
            assert!(
                value(&notes[commit], "also-root").is_none(),
                "no two lines meet here\n{}",
                notes[commit]
            );
            if !replaced.contains(&made.id) {
                standing.entry(line(commit)).or_default().push(made);
            }
        }
        for (commit, note) in &notes {
            let expected = standing.get(&line(commit)).map(|made| holds(made));
            assert_eq!(Some((careful(note), rev(note))), expected, "on {commit}\n{note}");
        }
    }
}

/// A decision, as the note says it that it was made in.
struct Decision {
    careful: usize,
    rev: u64,
    refs: Vec<String>,
    id: String,
    replaces: Vec<String>,
}

impl Decision {
    fn of(repo: &Repo, note: &str) -> Self {
        const KEYS: [&str; 11] = [
            "ref", "since", "by", "message", "rev", "approved", "approval", "reason", "priority", "after",
            "hold",
        ];
        let is_its = |line: &&str| line.split_once(": ").is_some_and(|(key, _)| KEYS.contains(&key));
        let text: String = note.lines().filter(is_its).map(|line| format!("{line}\n")).collect();
        let text = format!("state: {}\n{text}", STATES[careful(note)]);
        let hash = repo.sandbox().command("git").args(["hash-object", "--stdin"]).stdin(text).output();
        let id = hash.line()[..12].to_owned();
        Self {
            careful: careful(note),
            rev: rev(note),
            refs: values(note, "ref"),
            id,
            replaces: values(note, "replaces"),
        }
    }
}

/// What follows from the decisions that nobody has replaced: how careful that is, and its number.
fn holds(made: &[&Decision]) -> (usize, u64) {
    let most = made.iter().map(|made| made.careful).max().unwrap_or_default();
    let equals: Vec<_> = made.iter().filter(|made| made.careful == most).collect();
    let stays = |name: &String| equals.iter().all(|made| made.refs.contains(name));
    let is_left = equals.iter().flat_map(|made| &made.refs).any(stays);
    let rev = equals.iter().map(|made| made.rev).max().unwrap_or_default();
    (if is_left { most } else { STATES.len() - 1 }, rev)
}

/// How careful the decision of a note is.
fn careful(note: &str) -> usize {
    let state = value(note, "was").or(value(note, "state")).unwrap_or_default();
    let careful = STATES.iter().position(|known| *known == state);
    careful.unwrap_or_else(|| panic!("'{state}' is no decision\n{note}"))
}

fn rev(note: &str) -> u64 {
    let rev = value(note, "rev").map_or(Ok(0), str::parse);
    rev.unwrap_or_else(|error| panic!("{error}\n{note}"))
}

fn values(note: &str, key: &str) -> Vec<String> {
    note.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix(": ")).map(str::to_owned).collect()
}

fn value<'a>(note: &'a str, key: &str) -> Option<&'a str> {
    note.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "))
}

/// All notes, read by one process.
fn notes(repo: &Repo) -> BTreeMap<String, String> {
    let list = repo.git(&["notes", "--ref=deploy", "list"]);
    let (blobs, commits): (Vec<_>, Vec<_>) =
        list.lines().into_iter().filter_map(|line| line.split_once(' ')).unzip();
    let batch =
        repo.command("git").args(["cat-file", "--batch=%(objecttype)"]).stdin(blobs.join("\n")).output();
    batch.success();
    let texts = batch.stdout.split("blob\n").skip(1).map(str::to_owned);
    commits.into_iter().map(str::to_owned).zip(texts).collect()
}

fn sync(clone: &Repo) -> Output {
    clone.command("git-deploy-sync").arg("--quiet").output()
}

/// Numbers that look random and are the same for the same seed (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}
