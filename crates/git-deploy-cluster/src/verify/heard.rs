//! What events say of objects that wait without a cause that can be seen in their pods: where pods are refused to a
//! StatefulSet, or no volume can be made, nothing else tells.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::scene::{Left, Scene};
use crate::connect::Connection;
use crate::evidence;

/// As long as one object after another becomes ready nothing needs to be explained; and events are what an API server
/// reads most slowly.
const STANDSTILL: Duration = Duration::from_secs(2);

const AGAIN: Duration = Duration::from_secs(10);

/// Of how many objects that others are made of, the newest first.
const SUSPECTS: usize = 3;

/// What was heard, by the applied objects.
#[derive(Default)]
pub(super) struct Heard {
    unexplained: Mutex<Vec<usize>>,
    of: Mutex<HashMap<usize, String>>,
    /// How many objects are ready, and since when it is so many.
    ready: Mutex<(usize, Option<Instant>)>,
}

impl Heard {
    /// Notes how many are ready, and of which of the first few others nothing is known; tells what was heard of those.
    pub(super) fn explain(&self, ready: usize, waiting: &mut [Left]) {
        let mut since = lock(&self.ready);
        if since.0 != ready || since.1.is_none() {
            *since = (ready, Some(Instant::now()));
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
        loop {
            let stands = lock(&self.ready).1.map_or(Duration::ZERO, |since| since.elapsed());
            if stands < STANDSTILL {
                sleep(STANDSTILL - stands).await;
                continue;
            }
            let unexplained = lock(&self.unexplained).clone();
            for index in unexplained {
                let suspects = scene.suspects(index);
                let suspects = suspects.get(..SUSPECTS.min(suspects.len())).unwrap_or_default();
                let said = evidence::warning(connection, suspects, scene.since(index)).await;
                match said {
                    Some(said) => lock(&self.of).insert(index, said),
                    None => lock(&self.of).remove(&index),
                };
            }
            sleep(AGAIN).await;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
