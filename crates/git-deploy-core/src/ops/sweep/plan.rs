//! What is to become of a branch, decided on what is known of it and on the engine's verdicts. Pure.

use std::collections::HashMap;

use super::{Advice, Fate, Outcome};
use crate::ids::{CommitId, RefName};
use crate::note::Note;
use crate::rebase::{Conflict, Request, Skip, Verdict};
use crate::state::{Decision, State};

/// What the remote made of a branch: `onto` is a rebase of `upstream`, which is the branch's tip here or comes before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Followed {
    pub(super) upstream: CommitId,
    pub(super) onto: CommitId,
}

/// What is known of a branch before anything is judged.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    pub(super) name: RefName,
    pub(super) tip: CommitId,
    /// Whether the user asked for it by its name.
    pub(super) named: bool,
    pub(super) followed: Option<Followed>,
    /// The note that speaks for it: that on [`Subject::from`].
    pub(super) note: Option<Note>,
}

impl Subject {
    /// Whether all that it has is what the remote rebased.
    pub(super) fn only_follows(&self) -> bool {
        self.followed.is_some_and(|followed| followed.upstream == self.tip)
    }

    /// The commit whose note says what state the branch is in: the remote's where it only follows.
    pub(super) fn from(&self) -> CommitId {
        self.followed.filter(|_| self.only_follows()).map_or(self.tip, |followed| followed.onto)
    }

    /// Whether it waits for deployment, also if it was found to be broken meanwhile.
    pub(super) fn is_queued(&self) -> bool {
        self.note.as_ref().and_then(Note::decision) == Some(Decision::Deployable)
    }
}

/// What a note becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoteChange {
    /// The new tip gets it, less what belongs to the old one.
    Carried { dropped: Vec<CommitId> },
    /// It is a verdict now.
    Broken { paths: Vec<String> },
    /// The verdict holds no longer.
    Mended,
    /// It gets what was decided here about the commit that it was made from.
    Joined,
}

/// A branch on its way.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) subject: Subject,
    /// Where it is to stand.
    pub(super) new: CommitId,
    pub(super) fate: Fate,
    pub(super) change: Option<NoteChange>,
    /// Old and new commits.
    pub(super) rewritten: Vec<(CommitId, CommitId)>,
    dropped: Vec<CommitId>,
    decided: bool,
}

/// What is to be asked about base.
enum Question {
    WouldItRebase,
    /// It would not on this very base.
    Answered(Vec<String>),
    None,
}

impl Plan {
    pub(super) fn new(subject: Subject) -> Self {
        let new = subject.from();
        let rewritten = if new == subject.tip { Vec::new() } else { vec![(subject.tip, new)] };
        let fate = Fate::Current;
        Self { subject, new, fate, change: None, rewritten, dropped: Vec::new(), decided: false }
    }

    /// Commits that refs have already: where the branch stands, and what it follows.
    pub(super) fn had(&self) -> impl Iterator<Item = CommitId> {
        [Some(self.subject.tip), self.subject.followed.as_ref().map(|followed| followed.onto)]
            .into_iter()
            .flatten()
    }

    /// Whether the branch moves.
    pub(super) fn moves(&self) -> bool {
        self.new != self.subject.tip
    }

    pub(super) fn outcome(&self) -> Outcome {
        let Subject { name, tip, .. } = &self.subject;
        Outcome { branch: name.clone(), old: *tip, new: self.new, fate: self.fate.clone() }
    }

    /// Leaves the branch where it is.
    pub(super) fn skip(&mut self, fate: Fate) {
        self.end(self.subject.tip, fate);
        self.change = None;
    }

    fn end(&mut self, new: CommitId, fate: Fate) {
        self.new = new;
        self.fate = fate;
        self.decided = true;
    }

    /// What is to be put on top of what the remote made of the branch.
    pub(super) fn replay(&self) -> Option<Request> {
        let Subject { name, tip, followed, .. } = &self.subject;
        let followed = followed.filter(|_| !self.subject.only_follows())?;
        Some(Request { name: name.clone(), tip: *tip, upstream: followed.upstream, onto: followed.onto })
    }

    /// Takes the answer to [`Plan::replay`].
    pub(super) fn replayed(&mut self, verdict: Option<Verdict>) {
        match (verdict, self.subject.followed) {
            (Some(Verdict::Rebased(rebased)), _) => {
                self.new = rebased.tip;
                self.rewritten = rebased.rewritten;
                self.dropped = rebased.dropped;
            }
            // The remote has all of it.
            (Some(Verdict::Skipped(Skip::Landed)), Some(followed)) => {
                self.new = followed.onto;
                self.rewritten = vec![(self.subject.tip, followed.onto)];
            }
            (Some(Verdict::Broken(conflict)), _) => self.broken(conflict),
            (Some(Verdict::Skipped(skip)), _) => self.end(self.subject.tip, skipped(&skip)),
            (Some(Verdict::Current) | None, _) => {}
        }
    }

    /// What is to be brought onto base.
    pub(super) fn onto_base(&self, base_tip: CommitId) -> Option<Request> {
        let asked = !self.decided && matches!(self.question(base_tip), Question::WouldItRebase);
        asked.then(|| Request::onto_base(self.subject.name.clone(), self.new, base_tip))
    }

    fn question(&self, base_tip: CommitId) -> Question {
        let Subject { note, named, .. } = &self.subject;
        match note {
            Some(note) if note.state == State::Broken && note.onto == Some(base_tip) && !named => {
                Question::Answered(note.conflicts.clone())
            }
            Some(note) if note.state.is_rebased() || note.state == State::Broken => Question::WouldItRebase,
            _ if *named => Question::WouldItRebase,
            _ => Question::None,
        }
    }

    /// Takes the answer to [`Plan::onto_base`].
    pub(super) fn judged(&mut self, verdict: Option<Verdict>, base_tip: CommitId) {
        if self.decided {
            return;
        }
        match verdict {
            Some(Verdict::Rebased(rebased)) => {
                self.dropped.extend(originals(&rebased.dropped, &self.rewritten));
                self.rewritten = composed(&self.rewritten, &rebased.rewritten, &rebased.dropped);
                self.new = rebased.tip;
                self.stands(true);
            }
            Some(Verdict::Current) => self.stands(true),
            Some(Verdict::Broken(conflict)) => self.broken(conflict),
            Some(Verdict::Skipped(_)) if self.subject.only_follows() => self.stands(false),
            // What nobody keeps on base need not be taken away from there.
            Some(Verdict::Skipped(Skip::Landed)) if !self.is_kept() => {
                self.end(self.subject.tip, Fate::skipped(Skip::Landed.to_string()));
            }
            Some(Verdict::Skipped(skip)) => self.end(self.subject.tip, skipped(&skip)),
            None => match self.question(base_tip) {
                Question::Answered(paths) => {
                    self.end(
                        self.subject.from(),
                        Fate::Broken { reason: still(&paths), paths, was_broken: true },
                    );
                }
                Question::None | Question::WouldItRebase => self.stands(false),
            },
        }
    }

    /// It stands where it is to stand. `on_base`: and that is on base.
    fn stands(&mut self, on_base: bool) {
        let was_broken = self.was_broken();
        self.change = match self.new == self.subject.from() {
            false => Some(NoteChange::Carried { dropped: std::mem::take(&mut self.dropped) }),
            true if was_broken && on_base => Some(NoteChange::Mended),
            true => self.subject.only_follows().then_some(NoteChange::Joined),
        };
        let fate = if self.moves() { Fate::Rebased } else { Fate::Current };
        self.end(self.new, fate);
    }

    fn is_kept(&self) -> bool {
        self.subject.note.as_ref().is_some_and(|note| note.state.is_rebased())
    }

    fn was_broken(&self) -> bool {
        self.subject.note.as_ref().is_some_and(|note| note.state == State::Broken)
    }

    fn broken(&mut self, conflict: Conflict) {
        let (reason, was_broken) = (conflict.to_string(), self.was_broken());
        self.change = Some(NoteChange::Broken { paths: conflict.paths.clone() });
        self.end(self.subject.from(), Fate::Broken { reason, paths: conflict.paths, was_broken });
    }
}

fn skipped(skip: &Skip) -> Fate {
    let advice = Some(Box::new(Advice::Skip(skip.clone())));
    Fate::Skipped { reason: skip.to_string(), advice, failed: matches!(skip, Skip::Failed(_)) }
}

/// Why a branch is broken on a base that it was tried on before.
fn still(paths: &[String]) -> String {
    match paths {
        [] => "it conflicts".to_owned(),
        paths => format!("conflict in '{}'", paths.join("', '")),
    }
}

/// The commits that the first of two rebases made these from.
fn originals(commits: &[CommitId], first: &[(CommitId, CommitId)]) -> Vec<CommitId> {
    let by_new: HashMap<CommitId, CommitId> = first.iter().map(|(old, new)| (*new, *old)).collect();
    commits.iter().map(|commit| by_new.get(commit).copied().unwrap_or(*commit)).collect()
}

/// Old and new commits over two rebases.
fn composed(
    first: &[(CommitId, CommitId)],
    second: &[(CommitId, CommitId)],
    dropped: &[CommitId],
) -> Vec<(CommitId, CommitId)> {
    let by_old: HashMap<CommitId, CommitId> = second.iter().copied().collect();
    let between: HashMap<CommitId, CommitId> = first.iter().map(|(old, new)| (*new, *old)).collect();
    let kept = first.iter().filter(|(_, new)| !by_old.contains_key(new) && !dropped.contains(new));
    let mut pairs: Vec<(CommitId, CommitId)> = kept.copied().collect();
    pairs.extend(second.iter().map(|(old, new)| (between.get(old).copied().unwrap_or(*old), *new)));
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rebase::Rebased;

    fn id(number: u8) -> CommitId {
        format!("{number:040x}").parse().unwrap()
    }

    fn plan(note: Option<&str>, named: bool, followed: Option<(u8, u8)>) -> Plan {
        let followed = followed.map(|(upstream, onto)| Followed { upstream: id(upstream), onto: id(onto) });
        let note = note.map(|text| Note::parse(text.as_bytes()).unwrap());
        let name = RefName::new("refs/heads/a").unwrap();
        Plan::new(Subject { name, tip: id(10), named, followed, note })
    }

    fn rebased(tip: u8, rewritten: &[(u8, u8)], dropped: &[u8]) -> Option<Verdict> {
        let rewritten = rewritten.iter().map(|(old, new)| (id(*old), id(*new))).collect();
        let dropped = dropped.iter().copied().map(id).collect();
        Some(Verdict::Rebased(Rebased { tip: id(tip), dropped, rewritten }))
    }

    const BASE: u8 = 1;

    #[test]
    fn a_branch_that_rebases_takes_its_note_along() {
        let mut plan = plan(Some("state: staged"), false, None);
        assert!(plan.replay().is_none());
        assert_eq!(plan.onto_base(id(BASE)).unwrap().tip, id(10));
        plan.judged(rebased(20, &[(10, 20)], &[9]), id(BASE));
        assert_eq!((plan.new, &plan.fate), (id(20), &Fate::Rebased));
        assert_eq!(plan.change, Some(NoteChange::Carried { dropped: vec![id(9)] }));
    }

    #[test]
    fn broken_is_judged_again_when_base_moved_or_somebody_asks() {
        let text = format!("state: broken\nwas: staged\nonto: {}\nconflict: x", id(BASE));
        let mut still = plan(Some(&text), false, None);
        assert!(still.onto_base(id(BASE)).is_none());
        assert!(still.onto_base(id(2)).is_some());
        assert!(plan(Some(&text), true, None).onto_base(id(BASE)).is_some());
        still.judged(None, id(BASE));
        assert_eq!(still.fate.reason(), "conflict in 'x'");
        assert_eq!((still.moves(), still.change), (false, None));
        let mut current = plan(Some(&text), true, None);
        current.judged(Some(Verdict::Current), id(BASE));
        assert_eq!((current.fate, current.change), (Fate::Current, Some(NoteChange::Mended)));
    }

    #[test]
    fn a_branch_in_development_is_rebased_only_by_its_name() {
        assert!(plan(None, false, Some((10, 11))).onto_base(id(BASE)).is_none());
        assert!(plan(Some("state: development"), false, Some((10, 11))).onto_base(id(BASE)).is_none());
        assert!(plan(None, true, None).onto_base(id(BASE)).is_some());
    }

    #[test]
    fn what_the_remote_rebased_is_followed_and_then_brought_onto_base() {
        let mut plan = plan(Some("state: staged"), false, Some((10, 11)));
        assert!(plan.replay().is_none());
        plan.replayed(None);
        assert_eq!(plan.onto_base(id(BASE)).unwrap().tip, id(11));
        plan.judged(rebased(12, &[(11, 12)], &[]), id(BASE));
        assert_eq!(plan.rewritten, [(id(10), id(12))]);
        assert_eq!(plan.change, Some(NoteChange::Carried { dropped: Vec::new() }));
    }

    #[test]
    fn further_commits_are_replayed_on_what_the_remote_made() {
        let mut plan = plan(None, false, Some((9, 11)));
        let request = plan.replay().unwrap();
        assert_eq!((request.tip, request.upstream, request.onto), (id(10), id(9), id(11)));
        plan.replayed(rebased(12, &[(10, 12)], &[]));
        assert!(plan.onto_base(id(BASE)).is_none());
        plan.judged(None, id(BASE));
        assert_eq!((plan.new, plan.fate), (id(12), Fate::Rebased));
    }

    #[test]
    fn pairs_of_two_rebases_lead_from_the_oldest_to_the_newest() {
        let pairs =
            |pairs: &[(u8, u8)]| pairs.iter().map(|(old, new)| (id(*old), id(*new))).collect::<Vec<_>>();
        let composed =
            composed(&pairs(&[(1, 11), (2, 12), (3, 13)]), &pairs(&[(11, 21), (14, 24)]), &[id(12)]);
        assert_eq!(composed, pairs(&[(3, 13), (1, 21), (14, 24)]));
        assert_eq!(originals(&[id(12), id(15)], &pairs(&[(2, 12)])), [id(2), id(15)]);
    }
}
