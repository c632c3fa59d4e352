//! `git deploy-queue show`: where branches stand, and what became of them.

use git_deploy_cli::args::ShowQueue;
use git_deploy_cli::shell::{Object, Table};
use git_deploy_cli::{
    CommandError, Exit, Shell, Text, approve_again, note_unmerged, releases, shell, shell_word, typed_name,
    warn_of_notes, why_held,
};
use git_deploy_core::attempt::Attempt;
use git_deploy_core::branch::{Branch, Status};
use git_deploy_core::forecast::{Expected, about};
use git_deploy_core::git::Repository;
use git_deploy_core::git::notes::NotesError;
use git_deploy_core::ids::RefName;
use git_deploy_core::ledger::Outcome;
use git_deploy_core::ops::story::{Attempted, Landed, Story, StoryError, Subject, meant, story};
use git_deploy_core::ops::view::View;
use git_deploy_core::queue::{Place, Wait, before};
use git_deploy_core::state::State;
use serde_json::{Value, json};

use crate::seen::{Forecast, Seen};
use crate::{hold_object, unusable_object, wait_object, when};

/// How many of those before a branch are named to people.
const NAMED: usize = 5;

/// Shows branches; `whole`: with all that is known of each attempt.
pub(crate) fn show(arguments: &ShowQueue, whole: bool, shell: &mut Shell) -> Result<Exit, CommandError> {
    let repository = Repository::open()?;
    let view = View::new(&repository)?;
    let seen = Seen::look(&view, shell)?;
    let forecast = seen.forecast(&view, shell);
    let words = match arguments.subjects.is_empty() {
        true => vec![None],
        false => arguments
            .subjects
            .iter()
            .map(|word| typed_name(word).map(Some))
            .collect::<Result<Vec<_>, CommandError>>()?,
    };
    let (mut subjects, mut exit) = (Vec::<Subject>::new(), Exit::Done);
    for word in words {
        match meant(&view, word, &forecast.under_way) {
            Ok(found) => {
                let new: Vec<Subject> = found.into_iter().filter(|one| !subjects.contains(one)).collect();
                subjects.extend(new);
            }
            // The others may be known.
            Err(error @ (StoryError::NotKnown { .. } | StoryError::Base(_))) => {
                let error = CommandError::from(error);
                shell.error(error.message());
                error.hints().iter().for_each(|hint| shell.hint(hint.as_str()));
                exit = Exit::No;
            }
            Err(error) => return Err(error.into()),
        }
    }
    let mut malformed: Vec<NotesError> = Vec::new();
    for subject in subjects {
        let mut story = story(&view, subject)?;
        malformed.extend(story.malformed.take());
        let told = Told::new(&view, &seen, &forecast, story)?;
        match arguments.json {
            true => shell.json(&told.object()),
            false => told.print(whole, shell),
        }
    }
    warn_of_notes(&view, &malformed, shell)?;
    note_unmerged(&view, shell)?;
    Ok(exit)
}

/// A story with its place in the queue.
struct Told<'a> {
    story: Story,
    base: &'a RefName,
    queued: Option<Queued<'a>>,
    under_way: Vec<&'a Attempt>,
    seen: &'a Seen,
    forecast: &'a Forecast,
}

/// A place in the queue, and all that keeps a branch there.
struct Queued<'a> {
    position: usize,
    place: &'a Place,
    waits: Vec<Wait>,
    /// Those that are taken before it, in their order.
    before: Vec<&'a RefName>,
    expected: &'a Expected,
    /// Whether what holds the queue holds this one.
    is_held: bool,
}

impl<'a> Told<'a> {
    fn new(
        view: &'a View<'_>,
        seen: &'a Seen,
        forecast: &'a Forecast,
        story: Story,
    ) -> Result<Self, CommandError> {
        let name = match &story.subject {
            Subject::Branch(name) => Some(name),
            Subject::Commit(_) => None,
        };
        let position = seen.places.iter().position(|place| Some(&place.branch) == name);
        let queued = match (position, &story.branch) {
            (Some(position), Some(branch)) => Some(queued(view, seen, forecast, (position, branch))?),
            _ => None,
        };
        let is_its = |attempt: &&Attempt| attempt.branch.is_some() && attempt.branch.as_ref() == name;
        let under_way = forecast.under_way.iter().filter(is_its).collect();
        Ok(Self { story, base: &view.settings.base, queued, under_way, seen, forecast })
    }

    fn print(&self, whole: bool, shell: &mut Shell) {
        shell.line(self.heading());
        let mut hints = Vec::new();
        for attempt in &self.under_way {
            let phase = attempt.phase.as_str();
            let begun = format!("{} is {phase}, begun {} by {}", attempt.id, attempt.started, attempt.by);
            shell.line(format!("  {begun}"));
        }
        if let Some(queued) = &self.queued {
            self.print_queued(queued, &mut hints, shell);
        }
        if let Some(branch) = &self.story.branch {
            self.next_step(branch, &mut hints);
        }
        let mut table = Table::new();
        for attempted in &self.story.past {
            table.row(self.row(attempted, whole));
        }
        table.print(shell);
        if self.story.past.is_empty() && self.under_way.is_empty() {
            shell.line("  never deployed");
        }
        hints.into_iter().for_each(|hint| shell.hint(hint));
    }

    /// Who it is, and where it stands.
    fn heading(&self) -> Text {
        let name = match &self.story.subject {
            Subject::Branch(name) => Text::new().styled(shell::NAME, name.short()),
            Subject::Commit(commit) => Text::from("commit ").styled(shell::COMMIT, commit.brief()),
        };
        let landed = self.story.past.iter().find(|attempted| attempted.deployment.landed());
        let landed = landed.map(|landed| match landed.landed {
            Some(Landed::OnBase) => format!("landed with {}", landed.deployment.id),
            Some(Landed::TakenBack) => format!("landed with {}, and taken back since", landed.deployment.id),
            None => {
                format!("landed with {}, and '{}' has it no more", landed.deployment.id, self.base.short())
            }
        });
        let Some(branch) = &self.story.branch else {
            let gone = matches!(self.story.subject, Subject::Branch(_)).then(|| "gone".to_owned());
            let parts: Vec<String> = gone.into_iter().chain(landed).collect();
            return name.plain(": ").plain(parts.join(", "));
        };
        let mut parts = Vec::new();
        if let Some(queued) = &self.queued {
            parts.push(format!("place {} of {} in the queue", queued.position, self.seen.places.len()));
        }
        match &branch.status {
            Status::Deployed { .. } => parts.extend(landed),
            Status::Broken { paths } if !paths.is_empty() => {
                parts.push(format!("conflict in '{}'", paths.join("', '")));
            }
            Status::Merged { into, noted } => {
                parts.push(format!("was {noted}, and '{}' has all of it now", into.short()));
            }
            _ => {}
        }
        let counts = !matches!(branch.status, Status::Deployed { .. } | Status::Merged { .. });
        if let Some(note) = branch.note.as_ref().filter(|_| counts) {
            parts.extend(note.since.map(|since| format!("since {since}")));
            parts.extend(note.reason.as_ref().or(note.message.as_ref()).map(|said| format!("\"{said}\"")));
        }
        let parts: String = parts.iter().map(|part| format!(", {part}")).collect();
        name.plain(": ").plain(branch.state()).plain(parts)
    }

    /// Why it does not move, and when it will.
    fn print_queued(&self, queued: &Queued<'_>, hints: &mut Vec<String>, shell: &mut Shell) {
        for wait in &queued.waits {
            shell.line(Text::from("  ").styled(shell::HINT, wait));
            hints.extend(ends(wait, &queued.place.branch));
        }
        for hold in self.seen.holds.iter().filter(|_| queued.is_held) {
            shell
                .line(Text::from("  ").styled(shell::HINT, format!("the queue is held: {}", why_held(hold))));
            hints.extend(releases(hold));
        }
        if let Some(why) = &self.seen.unusable {
            shell.line(Text::from("  ").styled(shell::HINT, format!("nothing can be deployed: {why}")));
        }
        for attempt in &self.forecast.under_way {
            if attempt.branch.as_ref() != Some(&queued.place.branch) {
                let of = attempt.branch.as_ref().map(|branch| format!(" of '{}'", branch.short()));
                shell.line(format!("  {}{} is under way", attempt.id, of.unwrap_or_default()));
            }
        }
        if !queued.before.is_empty() {
            let named: Vec<&str> = queued.before.iter().take(NAMED).map(|name| name.short()).collect();
            let more = match queued.before.len().saturating_sub(NAMED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            shell.line(format!("  behind '{}'{more}", named.join("', '")));
        }
        shell.line(format!("  {}", when::explained(queued.expected, self.forecast.now)));
    }

    /// What can be done with a branch that is not in the queue.
    fn next_step(&self, branch: &Branch, hints: &mut Vec<String>) {
        let name = shell_word(branch.name.short());
        if self.story.unpushed {
            hints.push(format!("only what is pushed is deployed: git push -u <remote> {name}"));
        }
        match branch.state() {
            State::Development if matches!(branch.status, Status::Merged { .. }) => {}
            State::Development => {
                hints
                    .push(format!("it is not queued; queue it with: git deploy-state set deployable {name}"));
            }
            State::Staged => {
                hints.push(format!("when it is ready: git deploy-state set deployable {name}"));
            }
            State::Broken => {
                hints.push(format!("see what it conflicts with: git deploy-rebase --check {name}"));
            }
            State::Deployable | State::Deployed => {}
        }
    }

    fn row(&self, attempted: &Attempted, whole: bool) -> Vec<Text> {
        let deployment = &attempted.deployment;
        let style = match deployment.outcome {
            Outcome::Success => shell::GOOD,
            Outcome::Failure | Outcome::Aborted => shell::BAD,
        };
        let commit = Text::new().styled(shell::COMMIT, deployment.commit.brief());
        let commit = match attempted.approved.filter(|_| whole) {
            Some(approved) => commit.plain(format!(", from {}", approved.brief())),
            None => commit,
        };
        let landed = match attempted.landed {
            Some(Landed::OnBase) => format!("on '{}'", self.base.short()),
            Some(Landed::TakenBack) => "taken back since".to_owned(),
            None => String::new(),
        };
        let reason = deployment.reason.as_deref().unwrap_or_default();
        let took = deployment.started.duration_until(deployment.finished);
        vec![
            Text::from("  ").styled(shell::NAME, &deployment.id),
            Text::new().styled(style, deployment.outcome),
            Text::from(&deployment.environment),
            commit,
            Text::from(deployment.finished),
            Text::from(format!("took {}", about(took))),
            Text::from(landed),
            Text::from(if whole { reason.to_owned() } else { shell::brief(reason) }),
        ]
    }

    fn object(&self) -> Object {
        let (name, commit) = match &self.story.subject {
            Subject::Branch(name) => {
                (Some(name.as_str()), self.story.branch.as_ref().map(|branch| branch.tip.to_string()))
            }
            Subject::Commit(commit) => (None, Some(commit.to_string())),
        };
        let branch = self.story.branch.as_ref();
        let note = branch.and_then(|branch| branch.note.as_ref());
        let queued = self.queued.as_ref();
        let under_way: Vec<Value> = self.under_way.iter().map(|attempt| attempt_object(attempt)).collect();
        let past: Vec<Value> = self.story.past.iter().map(past_object).collect();
        Object::new()
            .with("ref", name)
            .with("commit", commit)
            .with("state", branch.map(|branch| branch.state().as_str()))
            .with_known("since", note.and_then(|note| note.since).map(|since| since.to_string()))
            .with_known("reason", note.and_then(|note| note.reason.as_deref()))
            .with_known("position", queued.map(|queued| queued.position))
            .with_known(
                "behind",
                queued.map(|queued| queued.before.iter().map(|name| name.as_str()).collect::<Vec<_>>()),
            )
            .with_known("waits", queued.map(|queued| self.waits(queued)))
            .with_known("expected", queued.map(|queued| when::object(queued.expected)))
            .with_known("deploying", (!under_way.is_empty()).then_some(under_way))
            .with("deployments", past)
    }

    /// All that keeps it where it is but those before it.
    fn waits(&self, queued: &Queued<'_>) -> Vec<Value> {
        let holds = self.seen.holds.iter().filter(|_| queued.is_held).map(hold_object);
        let unusable = self.seen.unusable.as_deref().map(unusable_object);
        queued.waits.iter().map(wait_object).chain(holds).chain(unusable).collect()
    }
}

fn queued<'a>(
    view: &View<'_>,
    seen: &'a Seen,
    forecast: &'a Forecast,
    (position, branch): (usize, &Branch),
) -> Result<Queued<'a>, CommandError> {
    let place = &seen.places[position];
    let passes = seen.passes.as_ref() == Some(&place.branch);
    let mut waits = view.waits(branch, &seen.branches.branches)?;
    // Those before it are named.
    let others = place.waits.iter().filter(|wait| !matches!(wait, Wait::Behind(_)) && !waits.contains(wait));
    waits.extend(others.cloned().collect::<Vec<_>>());
    let before = before(&seen.places, position).into_iter().map(|index| &seen.places[index].branch);
    Ok(Queued {
        position: position + 1,
        place,
        waits: if passes { Vec::new() } else { waits },
        before: if passes { Vec::new() } else { before.collect() },
        expected: &forecast.expected[position],
        is_held: !passes,
    })
}

/// How a wait is ended that is nobody's turn.
fn ends(wait: &Wait, branch: &RefName) -> Option<String> {
    let name = shell_word(branch.short());
    match wait {
        Wait::Held(_) => Some(format!("let it go on with: git deploy-queue release {name}")),
        Wait::After(_) => {
            Some(format!("let it go on without that: git deploy-state set deployable --after= {name}"))
        }
        Wait::Unapproved(why) => approve_again(branch, why),
        Wait::RolledBack { .. } => Some(format!(
            "mend it with a new commit and set that deployable; or deploy it nevertheless: git deploy {name}"
        )),
        Wait::Behind(_) => None,
    }
}

fn attempt_object(attempt: &Attempt) -> Value {
    json!({
        "tag": attempt.id.to_string(),
        "environment": attempt.environment.as_str(),
        "phase": attempt.phase.as_str(),
        "commit": attempt.candidate.to_string(),
        "started": attempt.started.to_string(),
        "by": attempt.by,
    })
}

fn past_object(attempted: &Attempted) -> Value {
    let deployment = &attempted.deployment;
    let landed = attempted.landed.map(|landed| match landed {
        Landed::OnBase => "on-base",
        Landed::TakenBack => "taken-back",
    });
    Object::new()
        .with("tag", deployment.id.to_string())
        .with("result", deployment.outcome.as_str())
        .with("environment", deployment.environment.as_str())
        .with("commit", deployment.commit.to_string())
        .with("started", deployment.started.to_string())
        .with("finished", deployment.finished.to_string())
        .with("seconds", deployment.started.duration_until(deployment.finished).as_secs())
        .with_known("approved", attempted.approved.map(|approved| approved.to_string()))
        .with_known("landed", landed)
        .with_known("reason", deployment.reason.as_deref())
        .with_known("rollback", deployment.rollback.as_ref().map(ToString::to_string))
        .into()
}
