//! A simulation of several runners that work the same queue off, of a person who fills it, and of what goes wrong with them.
//!
//! What is simulated is what they are on: clocks, the git program, processes that die or stand still, connections that break,
//! answers that are lost. All else is the code that runs at a user's. One seed gives one story, and what was promised is looked
//! at behind every push.

mod host;
mod people;
mod promises;
mod refs;
mod runner;
mod site;
mod world;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use git_deploy_core::machine;

use host::Host;
use refs::Move;
use world::{Died, Place, World};

pub use world::Faults;

/// What is simulated.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// What decides all that is left to chance.
    pub seed: u64,
    /// How many runners work the queue off.
    pub runners: usize,
    /// How many branches are made.
    pub branches: u64,
    /// What goes wrong.
    pub faults: Faults,
    /// What is not as it should be, to see that it is found.
    pub planted: Option<Planted>,
}

/// A bug that is planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// Who waits for a lock to be given up takes moments for minutes.
    Impatience,
    /// A push moves one ref after the other, the ledger before base, and may end in the middle.
    TornPush,
}

/// What happened.
#[derive(Debug)]
pub struct Story {
    /// What was promised and not kept, if anything.
    pub outcome: Result<(), String>,
    /// How long it took in the simulation.
    pub time: Duration,
    /// What happened, one line a step.
    pub lines: Vec<String>,
}

/// Simulates one story.
///
/// # Panics
/// When there is no room for its files.
pub fn simulate(scenario: Scenario) -> Story {
    let memory = Path::new("/dev/shm");
    let root = match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    };
    let root = root.unwrap_or_else(|error| panic!("no folder for the simulation: {error}"));
    fastrand::seed(scenario.seed);
    let world = Arc::new(World::new(root.path().to_owned(), scenario.seed, scenario.faults));
    set_up(&world).unwrap_or_else(|error| panic!("no repository for the simulation: {error}"));
    let mut threads = Vec::new();
    for number in 0..=scenario.runners {
        let is_person = number == 0;
        let name = if is_person { "ada".to_owned() } else { format!("runner-{number}") };
        let begins = Duration::from_millis(world.pick(0..30_000));
        let me = world.add(&name, begins);
        let world = Arc::clone(&world);
        let begin = move || life(&world, me, &name, scenario);
        threads
            .push(thread::Builder::new().spawn(begin).unwrap_or_else(|error| panic!("no thread: {error}")));
    }
    let ended = world.run();
    threads.into_iter().for_each(|thread| drop(thread.join()));
    Story { outcome: ended.outcome, time: ended.time, lines: ended.story }
}

/// All that somebody does: a process after the other.
fn life(world: &Arc<World>, me: usize, name: &str, scenario: Scenario) {
    fastrand::seed(scenario.seed.wrapping_add(me as u64 + 1));
    if catch_unwind(AssertUnwindSafe(|| world.enter(me))).is_err() {
        return world.leave(me);
    }
    let clone = match make_clone(&world.root, name) {
        Ok(clone) => clone,
        Err(error) => {
            world.promises(|promises, _| promises.breaks(format!("{name} has no clone: {error}")));
            return world.leave(me);
        }
    };
    loop {
        let ended = catch_unwind(AssertUnwindSafe(|| {
            let host = Rc::new(Host {
                world: Arc::clone(world),
                me,
                name: name.to_owned(),
                clone: clone.clone(),
                repository: world.open(&clone),
                pid: Cell::new(0),
                planted: scenario.planted,
            });
            machine::simulate(Some(Rc::clone(&host) as Rc<dyn machine::Machine>));
            if me == 0 {
                return people::live(&host, scenario.branches);
            }
            host.pid.set(world.begin_process(me));
            runner::watch(&host);
        }));
        machine::simulate(None);
        let died = match ended {
            Ok(()) => break,
            Err(why) => why.is::<Died>(),
        };
        if !died {
            world.promises(|promises, _| promises.breaks(format!("{name} panicked")));
            break;
        }
        world.promises(|promises, _| promises.rests(me));
        if world.is_stopped() {
            break;
        }
        // Whoever looks after it starts it again.
        let pause = Duration::from_millis(world.pick(100..90_000));
        if catch_unwind(AssertUnwindSafe(|| world.step(me, pause))).is_err() {
            break;
        }
    }
    world.leave(me);
}

/// The folder of the repository that counts.
const REMOTE: &str = "remote.git";

/// The repository that counts, with base in it.
fn set_up(world: &World) -> Result<(), Box<dyn std::error::Error>> {
    let path = world.root.join(REMOTE);
    make_repository(&path, "")?;
    let repository = world.open(&path);
    let mut folder = repository.treebuilder(None)?;
    folder.insert("base.yaml", repository.blob(b"version: 0\n")?, 0o100_644)?;
    let mut tree = repository.treebuilder(None)?;
    tree.insert("deploy", folder.write()?, 0o040_000)?;
    tree.insert("deploy.toml", repository.blob(b"")?, 0o100_644)?;
    let tree = repository.find_tree(tree.write()?)?;
    let who = git2::Signature::new("Ada", "ada@example.org", &git2::Time::new(1_789_000_000, 0))?;
    let base = repository.commit(None, &who, &who, "Begin\n", &tree, &[])?;
    let begin = Move { name: "refs/heads/master".to_owned(), old: None, new: Some(base) };
    world.refs(Place::Remote, |refs| refs.apply(&begin));
    Ok(())
}

/// A clone: what is a file in it. Refs and objects are in memory.
fn make_clone(root: &Path, name: &str) -> std::io::Result<PathBuf> {
    let path = root.join(name);
    let config = format!(
        "[user]\n\tname = {name}\n\temail = {name}@example.org\n\
         [remote \"origin\"]\n\turl = {REMOTE}\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n\
         [deploy]\n\tbase = master\n\tremote = origin\n"
    );
    make_repository(&path, &config)?;
    Ok(path)
}

/// As little as libgit2 takes for a repository.
fn make_repository(path: &Path, config: &str) -> std::io::Result<()> {
    for folder in ["objects", "refs"] {
        std::fs::create_dir_all(path.join(folder))?;
    }
    std::fs::write(path.join("HEAD"), "ref: refs/heads/master\n")?;
    let core = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n";
    std::fs::write(path.join("config"), format!("{core}{config}"))
}
