//! What keeps this runner from getting on, for those who look at the queue in this clone, and see nothing of that.

use std::cell::RefCell;

use git_deploy_core::git::Repository;
use git_deploy_core::ops::standstill::{Said, Standstill, say};

/// What this runner has to say of that.
#[derive(Default)]
pub(crate) struct Teller(RefCell<State>);

#[derive(Default)]
struct State {
    /// What hindered it last.
    met: Option<String>,
    /// What is said of that, and since when; nobody hears of it where it cannot be written.
    stands: Option<(Standstill, Option<Said>)>,
}

impl Teller {
    /// Something hinders it.
    pub(crate) fn meets(&self, why: String) {
        self.0.borrow_mut().met = Some(why);
    }

    /// What has hindered it since it last waited.
    pub(crate) fn met(&self) -> Option<String> {
        self.0.borrow().met.clone()
    }

    /// It waits for that, and tries again.
    pub(crate) fn waits(&self) {
        let mut state = self.0.borrow_mut();
        let Some(why) = state.met.take() else { return };
        let now = Standstill::begins(&why);
        let stands = match state.stands.take() {
            Some((stands, said @ Some(_))) if stands.why == now.why => (stands, said),
            before => {
                let begun = before.as_ref().map(|(stands, _)| stands.since);
                let stands = Standstill { since: begun.unwrap_or(now.since), ..now };
                let said = Repository::open().ok().and_then(|repository| say(&repository, &stands).ok());
                (stands, said)
            }
        };
        state.stands = Some(stands);
    }

    /// It gets on, as far as that can be seen. Where it meets something again before all is well, that was so all the time.
    pub(crate) fn gets_on(&self) {
        if let Some((_, said)) = &mut self.0.borrow_mut().stands {
            *said = None;
        }
    }

    /// Nothing hinders it any more.
    pub(crate) fn is_over(&self) {
        self.0.take();
    }
}
