//! `git deploy-queue show`: where branches stand, and what became of them.

mod object;

use git_deploy_cli::args::ShowQueue;
use git_deploy_cli::shell::Table;
use git_deploy_cli::{
    CommandError, Exit, Shell, Text, advise, approve_again, bring_again, note_unmerged, plan, releases,
    shell, shell_word, typed_name, warn_of_notes, why_held,
};
use git_deploy_core::attempt::Attempt;
use git_deploy_core::branch::{Branch, Status};
use git_deploy_core::forecast::{Expected, about};
use git_deploy_core::git::Repository;
use git_deploy_core::git::notes::NotesError;
use git_deploy_core::ids::RefName;
use git_deploy_core::ledger::Outcome;
use git_deploy_core::note::Note;
use git_deploy_core::ops::deploy::Hold;
use git_deploy_core::ops::held::{Holder, holder};
use git_deploy_core::ops::history::transitions;
use git_deploy_core::ops::story::{Attempted, Landed, Story, StoryError, Subject, meant, story};
use git_deploy_core::ops::sweep::Advice;
use git_deploy_core::ops::under_way::landing;
use git_deploy_core::ops::view::View;
use git_deploy_core::queue::{Place, Wait, before};
use git_deploy_core::rebase::{Skip, Verdict};
use git_deploy_core::revert::TakenBack;
use git_deploy_core::state::State;

use jiff::Timestamp;

use crate::apart::apart;
use crate::seen::{Forecast, Seen};
use crate::{END, not_on, when};

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
        let mut told = Told::new(&view, &seen, &forecast, story(&view, subject)?)?;
        match arguments.json {
            true => shell.json(&told.object()),
            false => told.print(whole, shell),
        }
        malformed.extend(told.story.malformed.take());
    }
    warn_of_notes(&view, &malformed, shell)?;
    note_unmerged(&view, shell)?;
    Ok(exit)
}

/// A story with its place in the queue.
struct Told<'a> {
    story: Story,
    base: &'a RefName,
    remote: Option<&'a str>,
    queued: Option<Queued<'a>>,
    /// What would become of it on base, if it is not queued and somebody could decide about it.
    verdict: Option<Verdict>,
    /// How it becomes one that can be rebased.
    advised: Vec<String>,
    /// How base has taken it back, if that has had all of it.
    taken: Option<TakenBack>,
    /// Since when it is broken, as the history of the states has it: its note has since when it was decided about.
    broken: Option<Timestamp>,
    /// Whether it is a branch of this clone.
    is_here: bool,
    /// What to do where ours is another than the one that counts: what is done here has to do with ours alone.
    apart: Vec<String>,
    under_way: Vec<&'a Attempt>,
    /// What has brought it onto base, or is about to, and has no verdict yet.
    landing: Option<&'a Attempt>,
    seen: &'a Seen,
    forecast: &'a Forecast,
}

/// What cannot be found out is not told.
fn broken_since(view: &View<'_>, name: &RefName) -> Option<Timestamp> {
    let made = transitions(view, Some(name)).ok()?;
    made.into_iter().find(|made| made.to == State::Broken)?.time
}

/// A place in the queue, and all that keeps a branch there.
struct Queued<'a> {
    position: usize,
    place: &'a Place,
    waits: Vec<Wait>,
    /// Who holds it.
    holder: Option<Holder>,
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
        let branch = story.branch.as_ref();
        let landing = branch.and_then(|branch| landing(&forecast.under_way, branch));
        let is_open = |branch: &&Branch| {
            let is_idle = matches!(branch.status, Status::Development | Status::Staged);
            is_idle && story.malformed.is_none() && landing.is_none()
        };
        // What cannot be found out is told by whoever sets the state.
        let verdict = branch.filter(is_open).and_then(|branch| view.verdict(branch).ok().flatten());
        let is_had = |branch: &&Branch| {
            let is_landed = matches!(verdict, Some(Verdict::Skipped(Skip::Landed)));
            let is_on_base = matches!(branch.status, Status::Merged { .. } | Status::Deployed { .. });
            landing.is_none() && (is_landed || is_on_base)
        };
        let taken = branch.filter(is_had).and_then(|branch| view.taken_back(branch).ok().flatten());
        let is_broken = branch.is_some_and(|branch| branch.state() == State::Broken);
        let broken = name.filter(|_| is_broken).and_then(|name| broken_since(view, name));
        let is_here = name.map_or(Ok(None), |name| view.repository.tip(name))?.is_some();
        let remote = view.settings.remote.as_ref().map(|tracking| tracking.remote());
        let base = &view.settings.base;
        let advised = match (&verdict, branch) {
            (Some(Verdict::Skipped(skip)), Some(branch)) => {
                let onto = view.settings.authority(base);
                advise(view, &Advice::Skip(skip.clone()), &onto, &branch.name)?
            }
            _ => Vec::new(),
        };
        let apart = apart(view, &story)?;
        Ok(Self {
            base,
            remote,
            queued,
            verdict,
            advised,
            broken,
            is_here,
            apart,
            taken,
            under_way,
            landing,
            seen,
            forecast,
            story,
        })
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
        let is_its = |hold: &&Hold| match hold {
            Hold::RolledBack(held) => {
                self.landed().is_some_and(|landed| landed.back.as_ref() == Some(&held.by))
            }
            _ => false,
        };
        self.seen.holds.iter().filter(is_its).for_each(|hold| hints.extend(releases(hold)));
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

    /// The latest deployment that landed it.
    fn landed(&self) -> Option<&Attempted> {
        self.story.past.iter().find(|attempted| attempted.deployment.landed())
    }

    /// Whether it brings nothing that base has not.
    fn is_empty(&self) -> bool {
        self.taken.is_none() && matches!(self.verdict, Some(Verdict::Skipped(Skip::Landed)))
    }

    /// Who it is, and where it stands.
    fn heading(&self) -> Text {
        let name = match &self.story.subject {
            Subject::Branch(name) => Text::new().styled(shell::NAME, name.short()),
            Subject::Commit(commit) => Text::from("commit ").styled(shell::COMMIT, commit.brief()),
        };
        let landed = self.landed().map(|landed| {
            let since = match landed.landed {
                Some(Landed::OnBase) => String::new(),
                // By what is said further on.
                Some(Landed::TakenBack) if self.taken.is_some() => String::new(),
                Some(Landed::TakenBack) => ", and taken back since".to_owned(),
                None => format!(", and '{}' has it no more", self.base.short()),
            };
            let back = landed.back.as_ref().map(|back| format!(", rolled back by {back}"));
            format!("landed with {}{}{since}", landed.deployment.id, back.unwrap_or_default())
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
        if let Some(attempt) = self.landing {
            parts.push(format!("landing with {}, which has no verdict yet", attempt.id));
        }
        match &branch.status {
            _ if self.landing.is_some() => {}
            Status::Deployed { .. } => parts.extend(landed),
            Status::Broken { paths } if !paths.is_empty() => {
                parts.push(format!("conflict in '{}'", paths.join("', '")));
            }
            Status::Merged { into, noted } => {
                let now = if self.taken.is_some() { "had all of it" } else { "has all of it now" };
                parts.push(format!("was {noted}, and '{}' {now}", into.short()));
            }
            _ => {}
        }
        if let Some(taken) = &self.taken {
            let partly = if taken.is_whole { "" } else { "partly " };
            parts.push(format!("{partly}taken back on '{}' by {}", taken.base.short(), taken.reverts()));
        } else if self.is_empty() {
            parts.push(format!("brings nothing that '{}' has not", self.base.short()));
        }
        if let Some(note) = self.note().filter(|_| !matches!(branch.status, Status::Deployed { .. })) {
            parts.extend(self.since(note).map(|since| format!("since {since}")));
            parts.extend(note.reason.as_ref().or(note.message.as_ref()).map(|said| format!("\"{said}\"")));
        }
        let parts: String = parts.iter().map(|part| format!(", {part}")).collect();
        name.plain(": ").plain(branch.state()).plain(parts)
    }

    /// What was decided, as far as that counts: what was before base had it is not why it is in development.
    fn note(&self) -> Option<&Note> {
        let branch = self.story.branch.as_ref()?;
        branch
            .note
            .as_ref()
            .filter(|_| !matches!(branch.status, Status::Merged { .. }) && self.landing.is_none())
    }

    /// Since when it is what it is.
    fn since(&self, note: &Note) -> Option<Timestamp> {
        self.broken.or(note.since)
    }

    /// Why it does not move, and when it will.
    fn print_queued(&self, queued: &Queued<'_>, hints: &mut Vec<String>, shell: &mut Shell) {
        for wait in &queued.waits {
            let holder = queued.holder.as_ref().filter(|_| matches!(wait, Wait::Held(_)));
            let since = |holder: &Holder| holder.since.map(|since| format!(", {since}")).unwrap_or_default();
            let by = holder.map(|holder| format!(" (by {}{})", holder.by, since(holder)));
            shell.line(Text::from("  ").styled(shell::HINT, format!("{wait}{}", by.unwrap_or_default())));
            // Several that it comes after end in the same way.
            let new = ends(wait, &queued.place.branch).into_iter().filter(|hint| !hints.contains(hint));
            hints.extend(new.collect::<Vec<_>>());
        }
        for hold in self.seen.holds.iter().filter(|_| queued.is_held) {
            shell
                .line(Text::from("  ").styled(shell::HINT, format!("the queue is held: {}", why_held(hold))));
            hints.extend(releases(hold));
        }
        if let Some(why) = &self.seen.unusable {
            shell.line(Text::from("  ").styled(shell::HINT, format!("nothing can be deployed: {why}")));
        }
        if let Some(standstill) = &self.seen.standstill {
            shell.line(Text::from("  ").styled(shell::HINT, not_on(standstill)));
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
        hints.extend(self.apart.iter().cloned());
        if let (true, true, Some(remote)) = (self.story.unpushed, self.apart.is_empty(), self.remote) {
            let remote = shell_word(remote);
            hints.push(format!("only what is pushed is deployed: git push -u {remote} {name}"));
        }
        if self.landing.is_some() {
            hints.push(END.to_owned());
        }
        if !self.apart.is_empty() {
            return;
        }
        // Only branches of this clone are rebased in it.
        let switch = if self.is_here { String::new() } else { format!("git switch {name}, then ") };
        let conflicts = || format!("see what it conflicts with: {switch}git deploy-rebase --check {name}");
        if let Some(taken) = &self.taken {
            return hints.extend(bring_again(taken));
        }
        match (branch.state(), &self.verdict) {
            (State::Staged, Some(Verdict::Skipped(Skip::Landed))) => {
                hints.extend(ends(&Wait::Empty(self.base.clone()), &branch.name));
            }
            (_, Some(Verdict::Skipped(Skip::Landed))) => {}
            (State::Broken, _) | (_, Some(Verdict::Broken(_))) => hints.push(conflicts()),
            (_, Some(Verdict::Skipped(_))) => {
                // git rebases only branches that are here.
                let is_missing = !self.is_here && !self.advised.is_empty();
                hints.extend(is_missing.then(|| format!("first: git switch {name}")));
                hints.extend(self.advised.iter().cloned());
            }
            (State::Development, Some(Verdict::Rebased(_) | Verdict::Current)) => {
                hints
                    .push(format!("it is not queued; queue it with: git deploy-state set deployable {name}"));
            }
            (State::Staged, Some(Verdict::Rebased(_) | Verdict::Current)) => {
                hints.push(format!("when it is ready: git deploy-state set deployable {name}"));
            }
            (_, None) => {}
            (State::Deployable | State::Deployed, Some(_)) => {}
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
        let back = attempted.back.as_ref().map(|back| format!("rolled back by {back}"));
        let landed = [Some(landed).filter(|landed| !landed.is_empty()), back];
        let landed: Vec<String> = landed.into_iter().flatten().collect();
        let skipped = deployment.skip.as_ref().map(plan::skipped);
        let reason = [skipped.as_deref(), deployment.reason.as_deref()];
        let reason: Vec<&str> = reason.into_iter().flatten().filter(|word| !word.is_empty()).collect();
        let reason = reason.join("; ");
        let took = deployment.started.duration_until(deployment.finished);
        vec![
            Text::from("  ").styled(shell::NAME, &deployment.id),
            Text::new().styled(style, deployment.outcome),
            Text::from(&deployment.environment),
            commit,
            Text::from(deployment.finished),
            Text::from(format!("took {}", about(took))),
            Text::from(landed.join(", ")),
            Text::from(if whole { reason } else { shell::brief(&reason) }),
        ]
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
    let is_first = seen.first() == Some(&place.branch);
    let mut waits = view.waits(branch, &seen.branches.branches)?;
    // Those before it are named.
    let others = place.waits.iter().filter(|wait| !matches!(wait, Wait::Behind(_)) && !waits.contains(wait));
    waits.extend(others.cloned().collect::<Vec<_>>());
    let before = before(&seen.places, position).into_iter().map(|index| &seen.places[index].branch);
    Ok(Queued {
        position: position + 1,
        place,
        waits: if passes { Vec::new() } else { waits },
        // What cannot be read about that hides no queue.
        holder: holder(view, branch).unwrap_or_default(),
        before: if is_first { Vec::new() } else { before.collect() },
        expected: &forecast.expected[position],
        is_held: !passes,
    })
}

/// How a wait is ended that is nobody's turn.
pub(crate) fn ends(wait: &Wait, branch: &RefName) -> Vec<String> {
    let name = shell_word(branch.short());
    let hint = match wait {
        Wait::Held(_) => Some(format!("let it go on with: git deploy-queue release {name}")),
        Wait::After(_) | Wait::Stuck { .. } => {
            Some(format!("let it wait for no other branch: git deploy-state set deployable --after= {name}"))
        }
        Wait::Empty(_) => Some(format!(
            "nothing of it is left to deploy; take it out with: git deploy-state set development {name}"
        )),
        Wait::Unapproved(why) => approve_again(branch, why),
        Wait::RolledBack { .. } => Some(format!(
            "mend it with a new commit and set that deployable; or deploy it nevertheless: git deploy {name}"
        )),
        Wait::TakenBack(taken) => return bring_again(taken),
        Wait::Behind(_) => None,
    };
    hint.into_iter().collect()
}
