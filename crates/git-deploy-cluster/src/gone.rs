//! Waiting until what was deleted is gone: what it has made goes first, and finalizers take their time, or for ever.

use std::time::{Duration, Instant};

use git_deploy_manifest::value;
use serde_json::Value;

use crate::api_error::ApiError;
use crate::connect::Connection;
use crate::objects::Place;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Waits until an object is gone, or its name is another one's. What is left of it if it stays for longer; it is looked for
/// at least once.
pub(crate) async fn until_gone(
    connection: &Connection,
    place: Place<'_>,
    uid: &str,
    until: Instant,
) -> Result<Option<Value>, ApiError> {
    let mut pause = FIRST_PAUSE;
    loop {
        let live = connection.get(place).await?.filter(|live| value::uid(live) == uid);
        if live.is_none() || Instant::now() >= until {
            return Ok(live);
        }
        tokio::time::sleep(pause).await;
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}
