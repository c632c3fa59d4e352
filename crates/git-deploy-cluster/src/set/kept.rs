//! What stays for a while although the set no longer contains it, and since when: text <-> value, and what a success makes of
//! it.
//!
//! It stands in the parent alone, as one text. Objects are known by their UID: one that was made anew is another, and one that
//! is wanted again is not listed any more. What is not in the list is deleted by nobody, so that whatever is in doubt - a
//! line that cannot be read, a list that another version did not go on with - only stays longer.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use git_deploy_core::ids::DeploymentId;
use git_deploy_manifest::{GroupKind, ObjectId};
use jiff::{SignedDuration, Timestamp};

/// The most bytes of the text. A ConfigMap takes 1 MiB, which one-time jobs share; 2,000 objects fit, however long their names
/// are.
const LONGEST: usize = 640 * 1024;

/// An object that stays for a while.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeptObject {
    /// Since when nobody wants it.
    pub since: Timestamp,
    /// The deployment that wanted it last, where that is known.
    pub wanted_by: Option<DeploymentId>,
    /// Its kind.
    pub kind: GroupKind,
    /// Its namespace.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// Which one of that name.
    pub uid: String,
}

impl KeptObject {
    /// Whether this is an object, whichever of that name.
    pub fn is(&self, id: &ObjectId) -> bool {
        self.kind == GroupKind::from(id) && self.namespace == id.namespace && self.name == id.name
    }

    /// When it is to go. What began in the future, by another clock than ours, counts from then: a clock that is wrong must
    /// not shorten the time.
    pub fn until(&self, keeping: Duration) -> Timestamp {
        end(self.since, keeping)
    }
}

/// When something is over that begins then. What is longer than there is time never is.
pub(crate) fn end(begin: Timestamp, keeping: Duration) -> Timestamp {
    let keeping = SignedDuration::try_from(keeping).ok();
    keeping.and_then(|keeping| begin.checked_add(keeping).ok()).unwrap_or(Timestamp::MAX)
}

/// All that stays for a while.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kept {
    /// The success that it was found after.
    of: Option<DeploymentId>,
    /// What it is, the longest kept first.
    objects: Vec<KeptObject>,
}

/// A success, and the one before it.
#[derive(Debug, Clone, Copy)]
pub struct Success<'a> {
    /// The deployment.
    pub id: &'a DeploymentId,
    /// The success before it.
    pub previous: Option<&'a DeploymentId>,
}

/// An object of the set that is there and that nobody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unwanted {
    /// What it is.
    pub id: ObjectId,
    /// Which one of that name.
    pub uid: String,
}

impl Kept {
    /// What is listed.
    pub fn objects(&self) -> &[KeptObject] {
        &self.objects
    }

    /// The list as it holds for the success that stands there. That of the success before it, after which it could not be
    /// written any more, holds without what was wanted since; an older one says nothing.
    #[must_use]
    pub fn carried_to(&self, latest: Success<'_>, is_wanted: impl Fn(&KeptObject) -> bool) -> Self {
        if self.of.as_ref() == Some(latest.id) {
            return self.clone();
        }
        let is_before = self.of.is_some() && self.of.as_ref() == latest.previous;
        let objects = self.objects.iter().filter(|kept| is_before && !is_wanted(kept)).cloned().collect();
        Self { of: Some(latest.id.clone()), objects }
    }

    /// The list that follows from a success, of what there is then that it does not want. What was listed for it or for the
    /// success before it keeps its time.
    #[must_use]
    pub fn after(
        &self,
        success: Success<'_>,
        unwanted: &[Unwanted],
        was_wanted: impl Fn(&ObjectId) -> bool,
        now: Timestamp,
    ) -> Self {
        let is_gone_on_with =
            self.of.as_ref().is_some_and(|of| of == success.id || Some(of) == success.previous);
        let before = self.objects.iter().filter(|_| is_gone_on_with);
        let before: BTreeMap<&str, &KeptObject> = before.map(|kept| (kept.uid.as_str(), kept)).collect();
        let now = whole_second(now);
        let object = |object: &Unwanted| match before.get(object.uid.as_str()) {
            Some(kept) if kept.is(&object.id) => (*kept).clone(),
            _ => KeptObject {
                since: now,
                wanted_by: success.previous.filter(|_| was_wanted(&object.id)).cloned(),
                kind: GroupKind::from(&object.id),
                namespace: object.id.namespace.clone(),
                name: object.id.name.clone(),
                uid: object.uid.clone(),
            },
        };
        let mut objects: Vec<KeptObject> = unwanted.iter().map(object).collect();
        objects.sort();
        Self { of: Some(success.id.clone()), objects }
    }

    /// Whether nothing is recorded.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The list without what there is no room for, which is what was put on it last, and how much that is. It is put on the
    /// list again when there is room, and stays so much longer.
    #[must_use]
    pub fn fitting(mut self) -> (Self, usize) {
        let all = self.objects.len();
        while self.to_text().len() > LONGEST {
            // Headings are shared, so that no object has a length of its own: some are left out, and it is looked again.
            self.objects.truncate(self.objects.len() - self.objects.len().div_ceil(16));
        }
        let left_out = all - self.objects.len();
        (self, left_out)
    }

    /// The text of the list, in which each thing is said once that several objects have in common.
    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        let Some(of) = &self.of else { return text };
        let mut line = |words: std::fmt::Arguments<'_>| {
            // Writing to a text does not fail.
            let _ = writeln!(text, "{words}");
        };
        line(format_args!("= {of}"));
        let (mut since, mut place) = (None, None);
        for kept in &self.objects {
            let ours = (kept.since, &kept.wanted_by);
            if since != Some(ours) {
                let by = kept.wanted_by.as_ref().map_or_else(|| NONE.to_owned(), ToString::to_string);
                line(format_args!("@ {} {by}", kept.since));
                (since, place) = (Some(ours), None);
            }
            let there = (&kept.kind, &kept.namespace);
            if place != Some(there) {
                line(format_args!("# {} {}", kept.kind, kept.namespace.as_deref().unwrap_or(NONE)));
                place = Some(there);
            }
            line(format_args!("{} {}", kept.uid, kept.name));
        }
        text
    }

    /// Reads that text. Lines that cannot be read are left out, with all that stands below such a heading.
    pub(super) fn parse(text: &str) -> Self {
        let mut kept = Self::default();
        let (mut since, mut place) = (None, None);
        for (head, rest) in text.lines().filter_map(|line| line.split_once(' ')) {
            match head {
                "=" => kept.of = rest.parse().ok(),
                "@" => (since, place) = (read_since(rest), None),
                "#" => place = read_place(rest),
                uid => {
                    let (Some((since, wanted_by)), Some((kind, namespace))) = (&since, &place) else {
                        continue;
                    };
                    kept.objects.push(KeptObject {
                        since: *since,
                        wanted_by: Option::clone(wanted_by),
                        kind: GroupKind::clone(kind),
                        namespace: Option::clone(namespace),
                        name: rest.to_owned(),
                        uid: uid.to_owned(),
                    });
                }
            }
        }
        kept
    }
}

/// Where there is none: no number, no namespace.
const NONE: &str = "-";

fn read_since(text: &str) -> Option<(Timestamp, Option<DeploymentId>)> {
    let (since, by) = text.split_once(' ')?;
    let by = if by == NONE { None } else { Some(by.parse().ok()?) };
    Some((since.parse().ok()?, by))
}

fn read_place(text: &str) -> Option<(GroupKind, Option<String>)> {
    let (kind, namespace) = text.split_once(' ')?;
    let Ok(kind) = kind.parse();
    Some((kind, Some(namespace.to_owned()).filter(|namespace| namespace != NONE)))
}

fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

#[cfg(test)]
#[path = "kept_tests.rs"]
mod tests;
