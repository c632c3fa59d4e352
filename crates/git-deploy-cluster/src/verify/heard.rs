//! What events say of objects that wait without a cause that can be seen in their pods: where pods are refused to a
//! StatefulSet, or no volume can be made, nothing else tells.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::scene::{Left, Scene};
use crate::connect::Connection;
use crate::evidence::{self, Warning};

/// As long as what was applied moves nothing needs to be explained; and events are what an API server reads most slowly.
const STANDSTILL: Duration = Duration::from_secs(2);

/// When it is asked again, and when at last although something moves: some objects always do.
const AGAIN: Duration = Duration::from_secs(10);

/// The same while a pod lacks what may still come: a node looks for it ever more rarely.
const LACKING: Duration = Duration::from_secs(3);

/// Of how many objects that others are made of, the newest first.
const SUSPECTS: usize = 3;

/// What was heard, by the applied objects.
#[derive(Default)]
pub(super) struct Heard {
    unexplained: Mutex<Vec<usize>>,
    of: Mutex<HashMap<usize, Warning>>,
    /// What is waited for, and since when it is as it is.
    standing: Mutex<(u64, Option<Instant>)>,
}

impl Heard {
    /// Notes whether anything has moved, and of which of the first few that wait nothing is known; tells what was heard of
    /// those. `standing` is the same as long as all of them are.
    pub(super) fn explain(&self, standing: u64, waiting: &mut [Left]) {
        let mut since = lock(&self.standing);
        if since.0 != standing || since.1.is_none() {
            *since = (standing, Some(Instant::now()));
        }
        drop(since);
        let of = lock(&self.of);
        let mut unexplained = Vec::new();
        for left in waiting.iter_mut().filter(|left| left.cause.is_none()) {
            unexplained.push(left.index);
            left.heard = of.get(&left.index).cloned();
        }
        *lock(&self.unexplained) = unexplained;
    }

    /// Asks now and then, for ever.
    pub(super) async fn ask(&self, connection: &Connection, scene: &Scene<'_>) -> Infallible {
        let mut begun = Instant::now();
        loop {
            let stands = lock(&self.standing).1.map_or(Duration::ZERO, |since| since.elapsed());
            if stands < STANDSTILL && begun.elapsed() < AGAIN {
                sleep(STANDSTILL - stands).await;
                continue;
            }
            let unexplained = lock(&self.unexplained).clone();
            let mut again = AGAIN;
            for index in unexplained {
                let suspects = scene.suspects(index);
                let suspects = suspects.get(..SUSPECTS.min(suspects.len())).unwrap_or_default();
                let said = evidence::warning(connection, suspects, scene.since(index)).await;
                if said.as_ref().is_some_and(|warning| warning.lacking.is_some()) {
                    again = LACKING;
                }
                match said {
                    Some(said) => lock(&self.of).insert(index, said),
                    None => lock(&self.of).remove(&index),
                };
            }
            sleep(again).await;
            begun = Instant::now();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
