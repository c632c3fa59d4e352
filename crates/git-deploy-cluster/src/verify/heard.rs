//! What events say of objects that wait without a cause that can be seen in their pods: where pods are refused to a
//! StatefulSet, or no volume can be made, nothing else tells.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::sleep;

use super::scene::{Left, Scene};
use crate::connect::Connection;
use crate::evidence;

/// What is ready by then is not asked about.
const FIRST: Duration = Duration::from_secs(2);

const AGAIN: Duration = Duration::from_secs(10);

/// Of how many objects that others are made of, the newest first.
const SUSPECTS: usize = 3;

/// What was heard, by the applied objects.
#[derive(Default)]
pub(super) struct Heard {
    unexplained: Mutex<Vec<usize>>,
    of: Mutex<HashMap<usize, String>>,
}

impl Heard {
    /// Notes of which of the first few nothing is known, and tells what was heard of them.
    pub(super) fn explain(&self, waiting: &mut [Left]) {
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
        sleep(FIRST).await;
        loop {
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
