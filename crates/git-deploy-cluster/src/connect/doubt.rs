//! Refusals are doubted: of several API servers behind one address one may not be ready, and knows neither who may do what nor
//! all kinds. Nothing tells that from a refusal that is meant but to ask again, and to ask others.

use std::time::Duration;

use crate::api_error::ApiError;

/// When it is asked again. In all less than anybody minds who has made a mistake.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_millis(700),
    Duration::from_secs(1),
];

/// The pauses after which something that was refused is asked for again.
pub(crate) struct Doubt(&'static [Duration]);

impl Default for Doubt {
    fn default() -> Self {
        Self(&PAUSES)
    }
}

impl Doubt {
    /// Whatever is said is believed.
    pub(super) const fn none() -> Self {
        Self(&[])
    }
}

impl Iterator for Doubt {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let (first, others) = self.0.split_first()?;
        self.0 = others;
        Some(*first)
    }
}

impl ApiError {
    /// Whether it may be only that whoever answered is not ready yet.
    pub(crate) fn may_be_of_one_that_starts(&self) -> bool {
        self.is_refusal_of_somebody() || self.is_no_such_kind()
    }
}
