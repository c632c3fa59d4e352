//! `git deploy-queue run`: works the queue off.
//!
//! What follows from what is decided by [`git_deploy_core::runner`]; here is done what it asks for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use git_deploy_cli::args::RunQueue;
use git_deploy_cli::{CommandError, Exit, Shell};
use git_deploy_core::config::Settings;
use git_deploy_core::deployment::Blame;
use git_deploy_core::git::{Ref, Repository};
use git_deploy_core::ids::CommitId;
use git_deploy_core::ledger::Outcome;
use git_deploy_core::ops::hold::queue_hold;
use git_deploy_core::ops::sweep::{Fate, SweepError, sweep_authority};
use git_deploy_core::ops::{Interrupt, Observer, sync};
use git_deploy_core::runner::{End, Next, Runner, Turn};
use serde_json::{Value, json};

use crate::deployment::{Ended, Said, deploy};
use crate::log::Log;
use crate::on_event::OnEvent;

/// How often it is looked whether the user asked to stop, while nothing is done.
const LOOK: Duration = Duration::from_millis(200);

/// Works the queue off.
pub(crate) fn run(arguments: RunQueue, shell: &mut Shell) -> Result<Exit, CommandError> {
    let interrupt = git_deploy_cli::interrupt()?;
    let policy = match arguments.watch {
        true => Runner::watching(Duration::from_secs(arguments.interval)),
        false => Runner::once(),
    };
    let on_event = OnEvent::configured(&Repository::open()?)?;
    let log = Log::new(shell, arguments.json, on_event, interrupt);
    let woken = git_deploy_cli::woken()?;
    let mut work = Work { log: &log, interrupt, woken, swept: None, idle: None, failed: false };
    let ended = work.until_it_ends(policy);
    let exit = ended.as_ref().map_or_else(CommandError::exit, |exit| *exit);
    let text = match &ended {
        Ok(Exit::No) => "the queue is worked off; not everything has landed".to_owned(),
        Ok(_) => "the queue is worked off".to_owned(),
        Err(error) => format!("ends: {}", error.message()),
    };
    log.tell(json!({ "event": "end", "exit": exit.code(), "reason": text }), Some(&text));
    ended
}

struct Work<'a> {
    log: &'a Log<'a>,
    interrupt: &'static Interrupt,
    /// Whether somebody wants it to look now.
    woken: Arc<AtomicBool>,
    /// The tip of base that branches were last rebased on.
    swept: Option<CommitId>,
    /// All refs as they stood when nothing could be taken from the queue.
    idle: Option<Vec<Ref>>,
    /// Whether a branch has failed or is broken.
    failed: bool,
}

impl Work<'_> {
    fn until_it_ends(&mut self, mut policy: Runner) -> Result<Exit, CommandError> {
        loop {
            self.interrupt.check()?;
            let (turn, error) = match self.turn() {
                Ok(turn) => (turn, None),
                Err(error) => {
                    self.interrupt.check()?;
                    self.tell_error(&error);
                    let turn = if error.exit() == Exit::TryAgain { Turn::Trouble } else { Turn::Unusable };
                    (turn, Some(error))
                }
            };
            self.failed |= matches!(turn, Turn::Failed(_));
            match policy.after(&turn) {
                Next::Turn => {}
                Next::Wait(time) => {
                    if matches!(turn, Turn::Trouble | Turn::Unusable) {
                        let seconds = time.as_secs();
                        let event = json!({ "event": "wait", "seconds": seconds });
                        self.log.tell(event, Some(&format!("the queue waits; tried again in {seconds} s")));
                    }
                    self.wait(time)?;
                }
                Next::End(End::WorkedOff) => return Ok(if self.failed { Exit::No } else { Exit::Done }),
                Next::End(End::Waiting | End::Unusable) => {
                    let waits = "the queue waits for something that is nobody's fault";
                    return Err(error.unwrap_or_else(|| CommandError::try_again(waits)));
                }
            }
        }
    }

    /// Looks once at all that counts, and starts one deployment.
    fn turn(&mut self) -> Result<Turn, CommandError> {
        let repository = Repository::open()?;
        repository.stop_on(self.interrupt);
        let settings = Settings::read(&repository)?;
        if let Some(tracking) = &settings.remote {
            sync::fetch(&repository, tracking, self.log)?;
        }
        if self.idle.as_ref() == Some(&repository.refs("refs/")?) {
            return Ok(Turn::Unchanged);
        }
        self.rebase(&repository, &settings)?;
        self.interrupt.check()?;
        // From before, so that what changes meanwhile is looked at again.
        let stands = repository.refs("refs/")?;
        let ended = deploy(|said| self.pass_on(said));
        let ended =
            ended.map_err(|error| CommandError::fatal(format!("cannot run 'git-deploy': {error}")))?;
        let turn = match meaning(&ended)? {
            Turn::Trouble if queue_hold(&repository, &settings)?.is_some() => Turn::Held,
            turn => turn,
        };
        // Time alone ends a freeze; nothing else goes on before something has changed.
        let is_idle = turn == Turn::Nothing || waits(&ended) == Some("approval");
        self.idle = Some(stands).filter(|_| is_idle);
        Ok(turn)
    }

    /// Rebases what is to be kept on base, if that has moved.
    fn rebase(&mut self, repository: &Repository, settings: &Settings) -> Result<(), CommandError> {
        let base = settings.base_tip(repository)?;
        if self.swept == Some(base) {
            return Ok(());
        }
        let sweep = match sweep_authority(repository, self.log, self.interrupt) {
            Ok(sweep) => sweep,
            // Who does it tells it; the head of the queue is rebased by its deployment in any case.
            Err(SweepError::AnotherSweep(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        for outcome in &sweep.outcomes {
            let (name, short, new) = (&outcome.branch, outcome.branch.short(), &outcome.new);
            let event = |fate: &Fate| {
                json!({
                    "event": "rebase", "verdict": fate.word(), "ref": name.as_str(), "commit": new.to_string(),
                    "reason": fate.reason(),
                })
            };
            match &outcome.fate {
                fate @ Fate::Broken { reason, was_broken: false, .. } => {
                    self.failed = true;
                    self.log.tell(event(fate), Some(&format!("broken '{short}': {reason}")));
                }
                fate @ Fate::Rebased => {
                    self.log.tell(event(fate), Some(&format!("rebased '{short}' to {}", new.brief())));
                }
                Fate::Current | Fate::Restored | Fate::Skipped { .. } | Fate::Broken { .. } => {}
            }
        }
        self.swept = Some(base);
        Ok(())
    }

    /// Tells what a deployment says, with the time.
    fn pass_on(&self, said: Said) {
        match said {
            Said::Line(line) => self.log.line(&line),
            Said::Event(event) => {
                let text = words(&event);
                self.log.tell(event, text.as_deref());
            }
        }
    }

    fn tell_error(&self, error: &CommandError) {
        let message = error.message();
        self.log.tell(
            json!({ "event": "error", "text": message, "exit": error.exit().code() }),
            Some(&format!("error: {message}")),
        );
        error.hints().iter().for_each(|hint| self.log.line(&format!("hint: {hint}")));
    }

    /// Waits, unless it is woken: then it looks at all anew, since whoever wakes it may know more than refs say.
    fn wait(&mut self, time: Duration) -> Result<(), CommandError> {
        let begun = Instant::now();
        while let Some(left) = time.checked_sub(begun.elapsed()).filter(|left| !left.is_zero()) {
            self.interrupt.check()?;
            if self.woken.swap(false, Ordering::SeqCst) {
                self.log.step("Woken", "by SIGUSR1");
                self.idle = None;
                break;
            }
            std::thread::sleep(left.min(LOOK));
        }
        Ok(())
    }
}

/// What the end of a deployment means for the queue.
fn meaning(ended: &Ended) -> Result<Turn, CommandError> {
    let field = |name: &str| {
        let verdict = ended.verdict.as_ref()?;
        verdict[name].as_str().map(str::to_owned)
    };
    let reason = || field("reason").unwrap_or_else(|| "it says nothing of why".to_owned());
    let failed = || Turn::Failed(format!("{:?} {:?} {}", field("branch"), field("commit"), reason()));
    Ok(match ended.exit {
        Some(Exit::Done) if field("result").as_deref() == Some("nothing") => Turn::Nothing,
        Some(Exit::Done) => Turn::Landed,
        Some(Exit::No) => failed(),
        Some(Exit::TimedOut) if field("blame").as_deref() == Some(Blame::Branch.as_str()) => failed(),
        Some(Exit::Fatal) => return Err(CommandError::fatal(reason())),
        Some(Exit::Usage) => return Err(CommandError::usage(reason())),
        Some(Exit::TryAgain) if waits(ended).is_some() => Turn::Held,
        // A deployment that died is taken up again.
        _ => Turn::Trouble,
    })
}

/// What the head of the queue waits for on its way from one environment to the next.
fn waits(ended: &Ended) -> Option<&str> {
    ended.verdict.as_ref()?["waits"].as_str()
}

/// An event of a deployment in words; none where these stand on its standard error, too.
fn words(event: &Value) -> Option<String> {
    let text = |name: &str| event[name].as_str().unwrap_or_default();
    match text("event") {
        "step" => Some(format!("{} {}", text("step"), text("text"))),
        "note" => Some(text("text").to_owned()),
        "verdict" if text("result") == "nothing" => Some(format!("nothing to deploy: {}", text("reason"))),
        "verdict" if text("result") == "error" => None,
        "verdict" => {
            let subject =
                if text("result") == Outcome::Success.as_str() { Outcome::Success } else { Outcome::Failure };
            let branch = text("branch").trim_start_matches("refs/heads/");
            let what = if branch.is_empty() { text("commit").to_owned() } else { format!("'{branch}'") };
            let why = if text("reason").is_empty() { String::new() } else { format!(": {}", text("reason")) };
            Some(format!(
                "{}: {}: {what} to {}{why}",
                text("deployment"),
                subject.subject(),
                text("environment")
            ))
        }
        _ => None,
    }
}
