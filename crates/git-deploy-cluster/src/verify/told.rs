//! What is told of a wait on its way: each change once, and the same trouble once however often it is seen.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};

use git_deploy_manifest::ObjectId;
use tokio::time::sleep;

use super::TICK;
use super::scene::Standing;
use crate::alike::gist;
use crate::connect::{Connection, SILENCE};

/// How many of those that are not ready are told of with their causes.
pub(crate) const NAMED: usize = 3;

/// How the wait goes; told when it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// How many objects are ready, of those that have to become so.
    Standing {
        /// So many are.
        ready: usize,
        /// Of so many.
        wanted: usize,
        /// The others; first those that yet others wait for.
        waiting: Vec<Waiting>,
    },
    /// What should be known before the end; each is told once.
    Warning(String),
    /// The API server has not answered for some seconds.
    Silent,
    /// It answers again.
    Answers,
}

/// An object that is not ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Which.
    pub object: ObjectId,
    /// What is missing.
    pub what: String,
    /// The first cause that can be seen in its pods, or else what its events say; of the first few only.
    pub why: Option<String>,
}

/// What was told already.
pub(super) struct Told<'a> {
    tell: &'a (dyn Fn(Progress) + Sync),
    last: Option<Progress>,
    warnings: BTreeSet<String>,
}

impl<'a> Told<'a> {
    pub(super) fn new(tell: &'a (dyn Fn(Progress) + Sync)) -> Told<'a> {
        Told { tell, last: None, warnings: BTreeSet::new() }
    }

    /// Warns of what was not warned of before, with whatever names and numbers.
    pub(super) fn warn(&mut self, warnings: Vec<String>) {
        for warning in warnings {
            if self.warnings.insert(gist(&warning)) {
                (self.tell)(Progress::Warning(warning));
            }
        }
    }

    pub(super) fn of(&mut self, standing: &Standing) {
        self.warn(standing.warnings.clone());
        let waiting = standing.waiting.iter().map(|left| Waiting {
            object: left.id.clone(),
            what: left.what.clone(),
            why: left.why(),
        });
        let progress =
            Progress::Standing { ready: standing.ready, wanted: standing.wanted, waiting: waiting.collect() };
        if self.last.as_ref() != Some(&progress) {
            self.last = Some(progress.clone());
            (self.tell)(progress);
        }
    }
}

/// Tells when the API server falls silent, and when it answers again.
pub(super) struct Ear<'a> {
    connection: &'a Connection,
    tell: &'a (dyn Fn(Progress) + Sync),
    is_silent: AtomicBool,
}

impl<'a> Ear<'a> {
    pub(super) fn new(connection: &'a Connection, tell: &'a (dyn Fn(Progress) + Sync)) -> Ear<'a> {
        Ear { connection, tell, is_silent: AtomicBool::new(false) }
    }

    /// Listens for ever.
    pub(super) async fn listen(&self) -> Infallible {
        loop {
            sleep(TICK).await;
            self.hear(self.connection.silence() >= SILENCE);
        }
    }

    /// It is silent now, or it answers.
    pub(super) fn hear(&self, is_silent: bool) {
        match (self.is_silent.swap(is_silent, Ordering::Relaxed), is_silent) {
            (false, true) => (self.tell)(Progress::Silent),
            (true, false) => (self.tell)(Progress::Answers),
            _ => {}
        }
    }
}
