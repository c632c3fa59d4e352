//! What all have in common: the time, whose turn it is, and what goes wrong.
//!
//! Everybody is a thread, of which one runs at a time, from one step to the next: a call of git, or a while in which nothing is
//! done. Between two steps the world decides by its seed who is next, and whether they die, stand still or lose their connection
//! there. So the same seed gives the same story.

use std::collections::VecDeque;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use git2::{Odb, Repository};

use crate::promises::Promises;
use crate::refs::Refs;

/// How much of the story is kept.
const STORY: usize = 4000;
/// When nothing goes wrong any more, so that all comes to an end.
const CALM: Duration = Duration::from_secs(400);
/// When it must have come to one.
const LONGEST: Duration = Duration::from_secs(400 + 6 * 3600);
/// How often it is looked then whether it has.
const LOOKS: Duration = Duration::from_secs(20);

/// What a thread unwinds with whose process was killed.
pub(crate) struct Died;

/// What goes wrong, in how many of a million steps.
#[derive(Debug, Clone, Copy)]
pub struct Faults {
    /// A process is killed before the step or behind it.
    pub death: u32,
    /// A process stands still, for up to ten minutes.
    pub standstill: u32,
    /// A machine loses its connection to the remote, for up to five minutes.
    pub cut: u32,
    /// The answer to a push is lost that was taken.
    pub lost_answer: u32,
    /// What is deployed to does not answer.
    pub outage: u32,
}

impl Faults {
    /// As much as can be mastered.
    pub const MANY: Self =
        Self { death: 8_000, standstill: 4_000, cut: 4_000, lost_answer: 40_000, outage: 40_000 };
    /// None.
    pub const NONE: Self = Self { death: 0, standstill: 0, cut: 0, lost_answer: 0, outage: 0 };
}

struct Task {
    /// What it is called.
    name: String,
    /// When it goes on.
    wakes: Duration,
    is_over: bool,
    is_doomed: bool,
    /// The process that runs there; none between two.
    pid: Option<u32>,
    cut_until: Duration,
    /// Whether it stood still since its process began.
    stood_still: bool,
    /// Told when it is its turn.
    turn: Arc<Condvar>,
    /// How wrong its clock is, in seconds.
    skew: i64,
}

struct State {
    rng: fastrand::Rng,
    now: Duration,
    tasks: Vec<Task>,
    running: Option<usize>,
    is_stopped: bool,
    faults: Faults,
    next_pid: u32,
    story: VecDeque<String>,
    promises: Promises,
    /// When it was looked last whether all is as it should be in the end.
    looked: Duration,
    /// How it ended.
    outcome: Option<Result<(), String>>,
}

/// The world.
pub(crate) struct World {
    state: Mutex<State>,
    /// Told when all threads have ended.
    over: Condvar,
    /// The refs of the repository that counts, and behind it those of everybody's clone.
    refs: Mutex<Vec<Refs>>,
    /// All objects that anybody has: who fetches gets refs. Libgit2 does not lock them; nobody touches them but whose turn it is.
    pub(crate) objects: Odb<'static>,
    /// Where everybody's files are.
    pub(crate) root: PathBuf,
}

/// Whose refs they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Those of the repository that counts.
    Remote,
    /// Those of somebody's clone.
    Clone(usize),
}

impl World {
    pub(crate) fn new(root: PathBuf, seed: u64, faults: Faults) -> Self {
        let state = State {
            rng: fastrand::Rng::with_seed(seed),
            now: Duration::ZERO,
            tasks: Vec::new(),
            running: None,
            is_stopped: false,
            faults,
            next_pid: 100,
            story: VecDeque::new(),
            promises: Promises::default(),
            looked: Duration::ZERO,
            outcome: None,
        };
        let objects = Odb::new().and_then(|objects| {
            objects.add_new_mempack_backend(1)?;
            Ok(objects)
        });
        let objects = objects.unwrap_or_else(|error| panic!("no place for objects: {error}"));
        let refs = Mutex::new(vec![Refs::default()]);
        Self { state: Mutex::new(state), over: Condvar::new(), refs, objects, root }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at refs, or moves them.
    pub(crate) fn refs<T>(&self, whose: Place, look: impl FnOnce(&mut Refs) -> T) -> T {
        let mut refs = self.refs.lock().unwrap_or_else(PoisonError::into_inner);
        let place = match whose {
            Place::Remote => 0,
            Place::Clone(me) => me + 1,
        };
        look(&mut refs[place])
    }

    /// Opens somebody's repository, with the objects that all have.
    pub(crate) fn open(&self, path: &Path) -> Repository {
        let opened = Repository::open_bare(path).and_then(|repository| {
            repository.set_odb(&self.objects)?;
            Ok(repository)
        });
        opened.unwrap_or_else(|error| panic!("'{}': {error}", path.display()))
    }

    /// Somebody more, who begins at that time.
    pub(crate) fn add(&self, name: &str, begins: Duration) -> usize {
        self.refs.lock().unwrap_or_else(PoisonError::into_inner).push(Refs::default());
        let mut state = self.lock();
        let skew = state.rng.i64(-300..=300);
        state.tasks.push(Task {
            name: name.to_owned(),
            wakes: begins,
            is_over: false,
            is_doomed: false,
            pid: None,
            cut_until: Duration::ZERO,
            stood_still: false,
            turn: Arc::default(),
            skew,
        });
        state.tasks.len() - 1
    }

    /// Waits for the first turn.
    pub(crate) fn enter(&self, me: usize) {
        Self::wait_for_turn(me, self.lock());
    }

    /// Ends a step that took so long, and waits for the next.
    pub(crate) fn step(&self, me: usize, took: Duration) {
        if thread::panicking() {
            return;
        }
        let mut state = self.lock();
        state.tasks[me].wakes = state.now + took;
        self.go_on(&mut state);
        Self::wait_for_turn(me, state);
    }

    fn wait_for_turn(me: usize, mut state: MutexGuard<'_, State>) {
        let turn = Arc::clone(&state.tasks[me].turn);
        while state.running != Some(me) {
            state = turn.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if std::mem::take(&mut state.tasks[me].is_doomed) || state.is_stopped {
            state.tasks[me].pid = None;
            drop(state);
            resume_unwind(Box::new(Died));
        }
    }

    /// Says that this one does nothing any more.
    pub(crate) fn leave(&self, me: usize) {
        let mut state = self.lock();
        state.tasks[me].is_over = true;
        state.tasks[me].pid = None;
        self.go_on(&mut state);
    }

    /// Decides who is next, and lets them go on.
    fn go_on(&self, state: &mut State) {
        if state.outcome.is_none()
            && let Some(outcome) = self.outcome(state)
        {
            state.outcome = Some(outcome);
            state.is_stopped = true;
        }
        state.running = match state.is_stopped {
            true => state.tasks.iter().position(|task| !task.is_over),
            false => state.next(),
        };
        match state.running {
            Some(next) => state.tasks[next].turn.notify_one(),
            None => self.over.notify_one(),
        }
    }

    /// How it ends, if it does now. Nothing goes wrong any more once it is calm.
    fn outcome(&self, state: &mut State) -> Option<Result<(), String>> {
        if let Some(broken) = state.promises.broken() {
            return Some(Err(broken));
        }
        if state.now >= CALM {
            state.faults = Faults::NONE;
            if state.now >= state.looked + LOOKS {
                state.looked = state.now;
                if self.refs(Place::Remote, |remote| in_the_end(remote, &state.promises)).is_ok() {
                    return Some(Ok(()));
                }
            }
        }
        (state.now >= LONGEST).then(|| Err("it never comes to an end".to_owned()))
    }

    /// Begins a process.
    pub(crate) fn begin_process(&self, me: usize) -> u32 {
        let mut state = self.lock();
        state.next_pid += 1;
        let pid = state.next_pid;
        state.tasks[me].pid = Some(pid);
        state.tasks[me].stood_still = false;
        pid
    }

    /// Has this one die at its next step.
    pub(crate) fn doom(&self, me: usize) {
        self.lock().tasks[me].is_doomed = true;
    }

    pub(crate) fn is_alive(&self, me: usize, pid: u32) -> bool {
        self.lock().tasks[me].pid == Some(pid)
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.lock().is_stopped
    }

    pub(crate) fn now(&self) -> Duration {
        self.lock().now
    }

    pub(crate) fn skew(&self, me: usize) -> i64 {
        self.lock().tasks[me].skew
    }

    pub(crate) fn is_cut(&self, me: usize) -> bool {
        let state = self.lock();
        state.now < state.tasks[me].cut_until
    }

    /// Whether something happens that does in so many of a million cases.
    pub(crate) fn happens(&self, chance: impl FnOnce(&Faults) -> u32) -> bool {
        let mut state = self.lock();
        let chance = chance(&state.faults);
        state.rng.u32(0..1_000_000) < chance
    }

    /// A number by the seed.
    pub(crate) fn pick(&self, range: std::ops::Range<u64>) -> u64 {
        self.lock().rng.u64(range)
    }

    /// Adds to the story.
    pub(crate) fn tell(&self, me: usize, text: &str) {
        let mut state = self.lock();
        state.say(me, text);
    }

    /// Looks at what was promised, or writes down what counts for that.
    pub(crate) fn promises<T>(&self, look: impl FnOnce(&mut Promises, Duration) -> T) -> T {
        let mut state = self.lock();
        let now = state.now;
        look(&mut state.promises, now)
    }

    /// Who has stood still since its process began, or is dead: they do nothing, or find out that others went on.
    pub(crate) fn those_who_stood_still(&self) -> Vec<bool> {
        self.lock().tasks.iter().map(|task| task.stood_still || task.pid.is_none()).collect()
    }

    /// Lets time go by until all is as it should be, or something is not, and all threads have ended.
    pub(crate) fn run(&self) -> Ended {
        let mut state = self.lock();
        self.go_on(&mut state);
        while state.running.is_some() {
            state = self.over.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let outcome = state.outcome.take().unwrap_or(Ok(()));
        let outcome =
            outcome.and_then(|()| self.refs(Place::Remote, |remote| in_the_end(remote, &state.promises)));
        Ended { outcome, time: state.now, story: std::mem::take(&mut state.story).into() }
    }
}

/// Whether everything is as it should be in the end.
fn in_the_end(remote: &Refs, promises: &Promises) -> Result<(), String> {
    if let Some((name, _)) = remote.below("refs/deploy/lock/").next() {
        return Err(format!("'{name}' is still held"));
    }
    for (name, _) in remote.below("refs/deploy/attempts/") {
        let number = name.rsplit('/').next().unwrap_or_default();
        if remote.resolve(&format!("refs/tags/{number}")).is_none() {
            return Err(format!("'{name}' has no verdict"));
        }
    }
    match &promises.left()[..] {
        [] => Ok(()),
        left => Err(format!("did not land: {}", left.join(", "))),
    }
}

impl State {
    /// Who is next, and what becomes of them there.
    fn next(&mut self) -> Option<usize> {
        loop {
            let first = self.tasks.iter().filter(|task| !task.is_over).map(|task| task.wakes).min()?;
            // Who would be next within a moment may be a little faster, too.
            let soon = first + Duration::from_millis(200);
            let ready: Vec<usize> = (0..self.tasks.len())
                .filter(|task| !self.tasks[*task].is_over && self.tasks[*task].wakes <= soon)
                .collect();
            let next = ready[self.rng.usize(0..ready.len())];
            self.now = self.now.max(self.tasks[next].wakes);
            if self.tasks[next].pid.is_some() {
                if self.chance(self.faults.standstill) {
                    let time = Duration::from_secs(self.rng.u64(1..600));
                    self.say(next, &format!("stands still for {} s", time.as_secs()));
                    self.tasks[next].wakes = self.now + time;
                    self.tasks[next].stood_still = true;
                    continue;
                }
                if self.chance(self.faults.cut) {
                    let time = Duration::from_secs(self.rng.u64(1..300));
                    self.say(next, &format!("is cut off for {} s", time.as_secs()));
                    self.tasks[next].cut_until = self.now + time;
                }
                if self.chance(self.faults.death) {
                    self.say(next, "dies");
                    self.tasks[next].is_doomed = true;
                }
            }
            return Some(next);
        }
    }

    fn chance(&mut self, of_a_million: u32) -> bool {
        self.rng.u32(0..1_000_000) < of_a_million
    }

    fn say(&mut self, task: usize, text: &str) {
        let line = format!("{:>9.3} {}: {text}", self.now.as_secs_f64(), self.tasks[task].name);
        if self.story.len() == STORY {
            self.story.pop_front();
        }
        self.story.push_back(line);
    }
}

/// How it ended.
pub(crate) struct Ended {
    pub(crate) outcome: Result<(), String>,
    pub(crate) time: Duration,
    pub(crate) story: Vec<String>,
}
