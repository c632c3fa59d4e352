//! `git deploy-queue run`: works the queue off.
//!
//! What it does is [`git_deploy_core::ops::work_off`]; here are its hands, its words and the signals that it hears.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use git_deploy::rebased::event;
use git_deploy_cli::args::RunQueue;
use git_deploy_cli::{CommandError, Exit, Shell, note_no_remote};
use git_deploy_core::deployment::Blame;
use git_deploy_core::git::Repository;
use git_deploy_core::ledger;
use git_deploy_core::ops::sweep::Outcome;
use git_deploy_core::ops::sync::DifferingTag;
use git_deploy_core::ops::work_off::{Event, Finished, Hands, Tidying, work_off};
use git_deploy_core::ops::{Interrupt, Interrupted, Observer};
use git_deploy_core::queue::{Place, Wait};
use git_deploy_core::runner::{Runner, Turn};
use serde_json::{Value, json};

use crate::deployment::{Ended, Said, Who, deploy, error_in, tidy};
use crate::echo::Echo;
use crate::log::{Log, last_word};
use crate::on_event::OnEvent;
use crate::standstill::Teller;
use crate::wait_object;
use crate::worked_off::end;

/// How often it is looked whether the user asked to stop, while nothing is done.
const LOOK: Duration = Duration::from_millis(200);

/// Works the queue off.
pub(crate) fn run(arguments: RunQueue, shell: &mut Shell) -> Result<Exit, CommandError> {
    let interrupt = git_deploy_cli::interrupt()?;
    let runner = match arguments.watch {
        true => Runner::watching(Duration::from_secs(arguments.interval)),
        false => Runner::once(),
    };
    let repository = Repository::open()?;
    note_no_remote(&repository, shell);
    let on_event = OnEvent::configured(&repository)?;
    if arguments.json {
        git_deploy_cli::last_word(last_word);
    }
    let log = Log::new(shell, arguments.json, on_event, interrupt);
    let prepares = !arguments.no_ahead;
    let machine = Machine {
        log: &log,
        interrupt,
        woken: git_deploy_cli::woken()?,
        has_broken: Cell::default(),
        told: RefCell::default(),
        error: RefCell::default(),
        other: RefCell::default(),
        standstill: Teller::default(),
        echo: RefCell::default(),
        prepares,
    };
    let (ended, why) = match work_off(&machine, runner) {
        Ok(finished) => {
            let has_failed = finished.has_failed || machine.has_broken.get();
            let other = machine.other.borrow();
            end(&Finished { has_failed, ..finished }, other.as_deref(), machine.standstill.met())
        }
        Err(error) => {
            let why = error.message();
            // It is said to people last of all, with what to do.
            if !matches!(error.exit(), Exit::Interrupted | Exit::Terminated) {
                log.tell(of_error(&error), None);
                let hints = error.hints().iter().map(|hint| format!("hint: {hint}"));
                hints.for_each(|hint| log.tell(json!({ "event": "line", "text": hint }), None));
            }
            (Err(error), why)
        }
    };
    let exit = ended.as_ref().map_or_else(CommandError::exit, |exit| *exit);
    let text = if ended.is_err() { format!("ends: {why}") } else { why.clone() };
    log.tell(json!({ "event": "end", "exit": exit.code(), "reason": why }), Some(&text));
    ended
}

/// The machine that it runs on.
struct Machine<'a> {
    log: &'a Log<'a>,
    interrupt: &'static Interrupt,
    /// Whether somebody wants it to look now.
    woken: Arc<AtomicBool>,
    /// Whether a branch became broken by a landing.
    has_broken: Cell<bool>,
    /// What was told of tidying up when nothing was deleted: the same is not told again.
    told: RefCell<Vec<String>>,
    /// Why the last turn came to nothing: the same is not told again.
    error: RefCell<Option<String>>,
    /// Whom it waits for that deploys just now.
    other: RefCell<Option<String>>,
    /// What keeps it from getting on, for those who look at the queue here.
    standstill: Teller,
    /// What a deployment says again that came to nothing, and is tried again.
    echo: RefCell<Echo<(Who, Said)>>,
    /// Whether the next branch is prepared while another one is deployed.
    prepares: bool,
}

impl Hands for Machine<'_> {
    type Error = CommandError;

    fn open(&self) -> Result<Repository, CommandError> {
        let repository = Repository::open()?;
        repository.stop_on(self.interrupt);
        repository.limit_remotes()?;
        Ok(repository)
    }

    fn interrupt(&self) -> &Interrupt {
        self.interrupt
    }

    fn deploy(&self, _: &Repository) -> Result<Turn, CommandError> {
        self.echo.borrow_mut().begin();
        // What it calls an error is one only where it waits for nobody. Its verdict tells that, and lines may be read before
        // what it has told programs earlier.
        let mut last = Vec::new();
        let ended = deploy(self.prepares, |who, said| {
            let follows = matches!(said, Said::Line(_)) && !last.is_empty();
            match who == Who::Deployment && (follows || is_error(&said)) {
                true => last.push(said),
                false => self.say(who, said),
            }
        });
        let ended =
            ended.map_err(|error| CommandError::fatal(format!("cannot run 'git-deploy': {error}")))?;
        let turn = match meaning(&ended) {
            Ok(turn) => turn,
            // Whoever tells that error tells what to do about it.
            Err(error) => {
                let error = hints(&last).fold(error, CommandError::hint);
                let others = last.into_iter().filter(|said| !is_told_by(said, &ended));
                others.for_each(|said| self.say(Who::Deployment, said));
                self.end_saying(false);
                return Err(error);
            }
        };
        let other = (waits(&ended) == Some(FOR_ANOTHER)).then(|| reason(&ended));
        match &other {
            Some(other) => self.tell_other(other, last),
            None if turn == Turn::Held => {
                let said = last.into_iter().filter_map(|said| waiting(said, self.log.is_json()));
                said.for_each(|said| self.say(Who::Deployment, said));
            }
            None => last.into_iter().for_each(|said| self.say(Who::Deployment, said)),
        }
        *self.other.borrow_mut() = other;
        self.end_saying(ended.exit == Some(Exit::TryAgain) && turn == Turn::Trouble);
        // What fails in the same way again is waited for, too.
        if matches!(turn, Turn::Trouble | Turn::Failed(_)) {
            self.standstill.meets(reason(&ended));
        }
        Ok(turn)
    }

    fn tidy(&self) -> Result<Tidying<CommandError>, CommandError> {
        let tidied = tidy();
        let (ended, said) =
            tidied.map_err(|error| CommandError::fatal(format!("cannot run 'git-deploy': {error}")))?;
        let verdict = ended.verdict.unwrap_or_default();
        let next = verdict["seconds"].as_u64().map(Duration::from_secs);
        if ended.exit == Some(Exit::Done) {
            let is_told = verdict["result"] == "tidied" || self.is_news(&said);
            let all = said.into_iter().chain([Said::Event(verdict)]);
            all.filter(|_| is_told).for_each(|said| self.pass_on(Who::Tidying, said));
            return Ok(Tidying { next, undone: None });
        }
        // What is gone is told each time, what hinders the rest by whoever knows whether that was told.
        let (done, said): (Vec<Said>, Vec<Said>) = said.into_iter().partition(is_deletion);
        done.into_iter().for_each(|said| self.pass_on(Who::Tidying, said));
        let reason = verdict["reason"].as_str().unwrap_or("'git deploy --tidy' says nothing of why");
        let error = CommandError::try_again(reason.to_owned());
        let undone = hints(&said).fold(error, CommandError::hint);
        Ok(Tidying { next, undone: Some(undone) })
    }

    fn wait(&self, time: Duration) -> Result<bool, Interrupted> {
        let begun = Instant::now();
        while let Some(left) = time.checked_sub(begun.elapsed()).filter(|left| !left.is_zero()) {
            self.interrupt.check()?;
            if self.woken.swap(false, Ordering::SeqCst) {
                self.log.step("Woken", "by SIGUSR1");
                return Ok(true);
            }
            std::thread::sleep(left.min(LOOK));
        }
        Ok(false)
    }

    fn may_pass(&self, error: &CommandError) -> bool {
        error.exit() == Exit::TryAgain
    }

    fn happened(&self, event: Event<'_, CommandError>) {
        match event {
            Event::Swept(outcome) => self.tell_swept(outcome),
            Event::Left(place) => self.tell_left(place),
            Event::Failed(error) => {
                self.standstill.meets(error.message());
                let message = error.message();
                if self.error.replace(Some(message.clone())) != Some(message) {
                    self.tell_error(error);
                }
            }
            Event::Untidied(error) => self.tell_error(error),
            Event::Unhindered => {
                self.error.take();
                self.standstill.is_over();
            }
            Event::Again(time) => {
                self.standstill.waits();
                let seconds = time.as_secs();
                let text = format!("the queue waits; tried again in {seconds} s");
                self.log.tell(json!({ "event": "wait", "seconds": seconds }), Some(&text));
            }
        }
    }
}

impl Machine<'_> {
    /// Tells what a deployment says, with the time, or what is prepared beside it.
    fn pass_on(&self, who: Who, said: Said) {
        let label = if who == Who::Ahead { "ahead: " } else { "" };
        match said {
            Said::Line(line) => self.log.line(label, &line),
            Said::Event(mut event) => {
                // Told by a deployment that has swept, and so not found by the sweep that follows.
                if event["event"] == "rebase" && event["verdict"] == "broken" {
                    self.has_broken.set(true);
                }
                // What kept it from there is over, however long it takes from now on.
                if who == Who::Deployment && gets_on(&event) {
                    self.standstill.gets_on();
                }
                let text = words(&event).map(|text| format!("{label}{text}"));
                if who == Who::Ahead {
                    event["ahead"] = true.into();
                }
                self.log.tell(event, text.as_deref());
            }
        }
    }

    /// Tells whom it waits for, each once: that is no error. `last` is how a deployment that was refused for that says it.
    fn tell_other(&self, other: &str, last: Vec<Said>) {
        if self.other.borrow().as_deref() == Some(other) {
            return;
        }
        for said in last {
            if let Said::Event(event) = said {
                let text = (event["event"] == "verdict").then(|| format!("waits: {other}"));
                self.log.tell(event, text.as_deref());
            }
        }
    }

    /// Tells what a deployment says, unless it said the same the last time.
    fn say(&self, who: Who, said: Said) {
        let gets_on = who == Who::Deployment && is_step(&said, "applying");
        let mut echo = self.echo.borrow_mut();
        let mut news = echo.hear(said.words(), (who, said));
        // However often it has come so far: its environment answers, and it may take long from now on.
        if gets_on {
            news.extend(echo.gets_on());
        }
        drop(echo);
        news.into_iter().for_each(|(who, said)| self.pass_on(who, said));
    }

    /// Tells the rest, unless it came to nothing again.
    fn end_saying(&self, came_to_nothing: bool) {
        let rest = self.echo.borrow_mut().end(came_to_nothing);
        rest.into_iter().for_each(|(who, said)| self.pass_on(who, said));
    }

    /// Whether what is said of tidying up was not said the last time, too.
    fn is_news(&self, said: &[Said]) -> bool {
        let now = more_than_looking(said);
        let before = self.told.replace(now.clone());
        !now.is_empty() && now != before
    }

    fn tell_swept(&self, outcome: &Outcome) {
        if let Some(event) = event(outcome) {
            let text = words(&event);
            self.log.tell(event, text.as_deref());
        }
    }

    fn tell_left(&self, place: &Place) {
        let branch = &place.branch;
        // Whoever could be next and was not taken heard of it from the deployment.
        let waits = place.waits.as_ref().filter(|wait| !matches!(wait, Wait::Behind(_)));
        let why = waits.map_or_else(|| "could not be taken".to_owned(), ToString::to_string);
        let event = json!({ "event": "left", "ref": branch.as_str(), "commit": place.tip.to_string(), "waits": waits.map(wait_object) });
        self.log.tell(event, Some(&format!("left '{}' in the queue: {why}", branch.short())));
    }

    fn tell_error(&self, error: &CommandError) {
        self.log.tell(of_error(error), Some(&format!("error: {}", error.message())));
        error.hints().iter().for_each(|hint| self.log.line("", &format!("hint: {hint}")));
    }
}

impl Observer for Machine<'_> {
    fn step(&self, verb: &str, text: &str) {
        self.log.step(verb, text);
    }

    fn warn(&self, text: &str) {
        self.log.warn(text);
    }

    fn note(&self, text: &str) {
        self.log.note(text);
    }

    fn tag_differs(&self, tag: &DifferingTag) {
        self.log.tag_differs(tag);
    }
}

/// What is said to be done.
fn hints(said: &[Said]) -> impl Iterator<Item = &str> {
    said.iter().filter_map(|said| match said {
        Said::Line(line) => line.strip_prefix("hint: "),
        Said::Event(_) => None,
    })
}

fn of_error(error: &CommandError) -> Value {
    json!({ "event": "error", "text": error.message(), "exit": error.exit().code() })
}

/// What there is in it that anybody wants to know: each look fetches.
fn more_than_looking(said: &[Said]) -> Vec<String> {
    let text = |said: &Said| match said {
        Said::Event(event) if event["event"] == "step" && event["step"] == "fetching" => None,
        Said::Event(event) => Some(event.to_string()),
        Said::Line(line) => Some(line.clone()),
    };
    said.iter().filter_map(text).collect()
}

fn is_deletion(said: &Said) -> bool {
    is_step(said, "deleted")
}

fn is_step(said: &Said, step: &str) -> bool {
    matches!(said, Said::Event(event) if event["event"] == "step" && event["step"] == step)
}

/// What the end of a deployment means for the queue.
fn meaning(ended: &Ended) -> Result<Turn, CommandError> {
    let field = |name: &str| field(ended, name);
    let failed = || Turn::Failed(format!("{:?} {:?} {}", field("branch"), field("commit"), reason(ended)));
    Ok(match ended.exit {
        Some(Exit::Done) if field("result") == Some("nothing") => Turn::Nothing,
        Some(Exit::Done) => Turn::Landed,
        Some(Exit::No) => failed(),
        Some(Exit::TimedOut) if field("blame") == Some(Blame::Branch.as_str()) => failed(),
        Some(Exit::Fatal) => return Err(CommandError::fatal(reason(ended))),
        Some(Exit::Usage) => return Err(CommandError::usage(reason(ended))),
        Some(Exit::TryAgain) if waits(ended).is_some() => Turn::Held,
        // A deployment that died is taken up again.
        _ => Turn::Trouble,
    })
}

/// Whether it begins to say why a deployment came to nothing: the last thing that it says.
fn is_error(said: &Said) -> bool {
    match said {
        Said::Event(event) => event["event"] == "verdict" && event["result"] == "error",
        Said::Line(line) => error_in(line).is_some(),
    }
}

/// The same of a deployment that waits: who tries again by himself meets no error. A program knows why by its verdict.
fn waiting(said: Said, is_json: bool) -> Option<Said> {
    match said {
        Said::Line(line) => match error_in(&line) {
            Some(_) if is_json => None,
            Some(why) => Some(Said::Line(why.to_owned())),
            None => Some(Said::Line(line)),
        },
        event @ Said::Event(_) => Some(event),
    }
}

/// Whether whoever tells why it ended, and what to do, tells that, too. Without a verdict that is no more than one line.
fn is_told_by(said: &Said, ended: &Ended) -> bool {
    match said {
        Said::Event(_) => false,
        Said::Line(_) if ended.verdict.is_some() => true,
        Said::Line(line) => {
            let is_why = || error_in(line).is_some_and(|error| ended.error.as_deref() == Some(error));
            line.starts_with("hint: ") || is_why()
        }
    }
}

/// Steps that are told before anything is asked that may be away. What lands is written down by the remote, which may be what
/// keeps it, and what is left was kept.
const BEFORE: [&str; 9] =
    ["fetching", "log", "resuming", "aborting", "recovered", "rendering", "again", "landing", "leaving"];

/// Whether it does more than look at what is there.
fn gets_on(event: &Value) -> bool {
    event["event"] == "step" && event["step"].as_str().is_some_and(|step| !BEFORE.contains(&step))
}

/// What a verdict says that waits for another one who deploys.
const FOR_ANOTHER: &str = "deployment";

/// A word of its verdict.
fn field<'a>(ended: &'a Ended, name: &str) -> Option<&'a str> {
    ended.verdict.as_ref()?[name].as_str()
}

/// Why it ended as it did.
fn reason(ended: &Ended) -> String {
    let said = field(ended, "reason").or(ended.error.as_deref());
    said.unwrap_or("'git deploy' says nothing of why").to_owned()
}

/// What the head of the queue waits for on its way from one environment to the next.
fn waits(ended: &Ended) -> Option<&str> {
    field(ended, "waits")
}

/// An event of a deployment in words; none where these stand on its standard error, too.
fn words(event: &Value) -> Option<String> {
    let text = |name: &str| event[name].as_str().unwrap_or_default();
    let short = |name: &str| event[name].as_str().unwrap_or_default().trim_start_matches("refs/heads/");
    let (branch, commit) = (short("branch"), text("commit").get(..10).unwrap_or_default());
    let why = if text("reason").is_empty() { String::new() } else { format!(": {}", text("reason")) };
    match text("event") {
        "step" => Some(format!("{} {}", text("step"), text("text"))),
        "note" => Some(text("text").to_owned()),
        // There is nothing behind the last one, and errors stand on its standard error, too.
        "ahead" if matches!(text("result"), "nothing" | "error") => None,
        "ahead" => Some(format!("{} '{branch}' ({commit}) upon {}{why}", text("result"), text("upon"))),
        "rebase" if why.is_empty() => Some(format!("{} '{}' to {commit}", text("verdict"), short("ref"))),
        "rebase" => Some(format!("{} '{}'{why}", text("verdict"), short("ref"))),
        "verdict" if text("result") == "nothing" => Some(format!("nothing to deploy: {}", text("reason"))),
        "verdict" if text("result") == "error" => None,
        "verdict" => {
            let is_success = text("result") == ledger::Outcome::Success.as_str();
            let outcome = if is_success { ledger::Outcome::Success } else { ledger::Outcome::Failure };
            let what = if branch.is_empty() { text("commit").to_owned() } else { format!("'{branch}'") };
            Some(format!(
                "{}: {}: {what} to {}{why}",
                text("deployment"),
                outcome.subject(),
                text("environment")
            ))
        }
        _ => None,
    }
}
