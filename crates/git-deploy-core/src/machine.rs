//! What a run asks of the machine that it is on, its own files aside: the git program, refs and objects, the time, to wait, and
//! who it is itself.
//!
//! A thread can be given another machine ([`simulate`]), on which runs die, stop and wait as a simulation wants it. All
//! others are on the real one.

use std::cell::RefCell;
use std::process::Output;
use std::rc::Rc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::git::program::{Call, ProgramError};
use crate::ids::{ObjectId, RefName};

/// A machine that is not the real one.
pub trait Machine {
    /// Runs git.
    ///
    /// # Errors
    /// When it cannot be run, as the program itself.
    fn git(&self, call: &Call) -> Result<Output, ProgramError>;
    /// Where a ref of its repository stands.
    fn resolve(&self, name: &RefName) -> Option<ObjectId>;
    /// The refs of its repository whose names begin like this, by name.
    fn refs(&self, prefix: &str) -> Vec<(RefName, ObjectId)>;
    /// The objects of its repository.
    fn objects(&self) -> &git2::Odb<'_>;
    /// The time of day, right or wrong.
    fn now(&self) -> jiff::Timestamp;
    /// The time since it was started.
    fn uptime(&self) -> Duration;
    /// Lets time go by.
    fn sleep(&self, time: Duration);
    /// Its name.
    fn host(&self) -> String;
    /// The number of this process.
    fn pid(&self) -> u32;
    /// Whether there is such a process.
    fn is_alive(&self, pid: u32) -> bool;
}

thread_local! {
    static SIMULATED: RefCell<Option<Rc<dyn Machine>>> = const { RefCell::new(None) };
}

/// Gives this thread another machine, or the real one again.
pub fn simulate(machine: Option<Rc<dyn Machine>>) {
    SIMULATED.set(machine);
}

fn simulated() -> Option<Rc<dyn Machine>> {
    SIMULATED.with_borrow(Clone::clone)
}

/// Whether this thread is on a machine that is not the real one.
pub(crate) fn is_simulated() -> bool {
    SIMULATED.with_borrow(Option::is_some)
}

/// Runs git on a machine that is not the real one; `None` on that.
pub(crate) fn git(call: &Call) -> Option<Result<Output, ProgramError>> {
    simulated().map(|machine| machine.git(call))
}

/// Where a ref stands on a machine that is not the real one; `None` on that.
pub(crate) fn resolve(name: &RefName) -> Option<Option<ObjectId>> {
    simulated().map(|machine| machine.resolve(name))
}

/// The refs whose names begin like this, on a machine that is not the real one; `None` on that.
pub(crate) fn refs(prefix: &str) -> Option<Vec<(RefName, ObjectId)>> {
    simulated().map(|machine| machine.refs(prefix))
}

/// Gives a repository the objects of a machine that is not the real one.
///
/// # Errors
/// When libgit2 does not take them.
pub(crate) fn give_objects(repository: &git2::Repository) -> Result<(), git2::Error> {
    simulated().map_or(Ok(()), |machine| repository.set_odb(machine.objects()))
}

/// The time of day.
pub(crate) fn now() -> jiff::Timestamp {
    simulated().map_or_else(jiff::Timestamp::now, |machine| machine.now())
}

/// The time since the machine was started, by a clock that only it has and that nobody sets.
pub(crate) fn uptime() -> Duration {
    simulated().map_or_else(
        || {
            let time = clock_gettime(ClockId::Monotonic);
            Duration::try_from(time).unwrap_or_default()
        },
        |machine| machine.uptime(),
    )
}

/// Waits.
pub(crate) fn sleep(time: Duration) {
    match simulated() {
        Some(machine) => machine.sleep(time),
        None => std::thread::sleep(time),
    }
}

/// The machine's name.
pub(crate) fn host() -> String {
    simulated().map_or_else(
        || rustix::system::uname().nodename().to_string_lossy().into_owned(),
        |machine| machine.host(),
    )
}

/// How the kernel names this boot of the machine; empty where it does not.
pub(crate) fn boot() -> String {
    let of_kernel = || std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    simulated().map_or_else(of_kernel, |machine| machine.host()).trim().to_owned()
}

/// The number of this process.
pub(crate) fn pid() -> u32 {
    simulated().map_or_else(std::process::id, |machine| machine.pid())
}

/// Whether a process of this machine is there. One that belongs to somebody else counts.
pub(crate) fn is_alive(pid: u32) -> bool {
    if let Some(machine) = simulated() {
        return machine.is_alive(pid);
    }
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}
