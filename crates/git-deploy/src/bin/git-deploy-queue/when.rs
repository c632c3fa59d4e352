//! When a branch lands, for people and for programs.

use git_deploy_core::forecast::{Expected, about, about_when};
use jiff::Timestamp;
use serde_json::{Value, json};

/// In a few words; none where nobody can tell.
pub(crate) fn lands(expected: &Expected, now: Timestamp) -> Option<String> {
    match expected {
        Expected::Lands { lands, .. } => {
            Some(format!("lands about {}, in {}", about_when(*lands, now), about(now.duration_until(*lands))))
        }
        Expected::Unknown(_) => None,
    }
}

/// In a sentence, with what it rests upon, or why nobody can tell.
pub(crate) fn explained(expected: &Expected, now: Timestamp) -> String {
    match expected {
        Expected::Lands { starts, lands: at, basis } => {
            let begins = match *starts > now {
                true => format!("begins about {}, ", about_when(*starts, now)),
                false => String::new(),
            };
            let deployments =
                if *basis == 1 { "deployment".to_owned() } else { format!("{basis} deployments") };
            let lands = lands(expected, now).unwrap_or_default();
            let takes = about(starts.duration_until(*at));
            format!("{begins}{lands}: it takes {takes}, as the last {deployments}")
        }
        Expected::Unknown(why) => format!("nobody can tell when it lands: {why}"),
    }
}

pub(crate) fn object(expected: &Expected) -> Value {
    match expected {
        Expected::Lands { starts, lands, basis } => json!({
            "starts": starts.to_string(),
            "lands": lands.to_string(),
            "seconds": starts.duration_until(*lands).as_secs(),
            "basis": basis,
        }),
        Expected::Unknown(why) => json!({ "unknown": why.to_string() }),
    }
}
