//! What there is to see of the queue.

use git_deploy_cli::{CommandError, Onlooker, Shell};
use git_deploy_core::attempt::Attempt;
use git_deploy_core::forecast::{Expected, Unknown};
use git_deploy_core::ids::RefName;
use git_deploy_core::ops::deploy::{Hold, holds};
use git_deploy_core::ops::outlook::{expected, now};
use git_deploy_core::ops::standstill::{Standstill, said};
use git_deploy_core::ops::under_way::under_way;
use git_deploy_core::ops::view::{Branches, View};
use git_deploy_core::queue::{Place, head};
use jiff::Timestamp;

use crate::Held;

/// The queue at one moment.
pub(crate) struct Seen {
    /// The branches that count.
    pub(crate) branches: Branches,
    /// Those in the queue, in its order.
    pub(crate) places: Vec<Place>,
    /// What holds it.
    pub(crate) holds: Vec<Hold>,
    /// The branch that is taken nevertheless.
    pub(crate) passes: Option<RefName>,
    /// Why nobody can be taken, such as a mistake in base's `deploy.toml`.
    pub(crate) unusable: Option<String>,
    /// Why a runner of this clone does not get on, if one has said so.
    pub(crate) standstill: Option<Standstill>,
}

/// When those in it will land.
pub(crate) struct Forecast {
    /// What has no verdict yet.
    pub(crate) under_way: Vec<Attempt>,
    /// When each of the queue lands.
    pub(crate) expected: Vec<Expected>,
    /// The present.
    pub(crate) now: Timestamp,
}

impl Seen {
    /// Looks at it. What cannot be read about what holds the queue hides no queue.
    pub(crate) fn look(view: &View<'_>, shell: &mut Shell) -> Result<Self, CommandError> {
        let branches = view.authority_branches()?;
        let mut places = view.order(&branches.branches)?;
        let interrupt = git_deploy_cli::interrupt()?;
        let found = holds(view, &Onlooker::new(shell), interrupt);
        let ((holds, passes), unusable) = match found {
            Ok(held) => (held, None),
            Err(error) => {
                let why = error.to_string();
                shell.warn(format!("nothing can be deployed: {why}"));
                (Default::default(), Some(why))
            }
        };
        // Whoever goes first nevertheless waits for nobody, be it for an approval on the way.
        let first = first(&holds);
        places.iter_mut().filter(|place| Some(&place.branch) == first).for_each(|place| place.waits = None);
        let standstill = said(view.repository);
        Ok(Self { branches, places, holds, passes, unusable, standstill })
    }

    /// What holds it.
    pub(crate) fn held(&self) -> Held<'_> {
        let unusable = self.unusable.as_deref();
        let standstill = self.standstill.as_ref();
        Held { by: self.holds.first(), passes: self.passes.as_ref(), unusable, standstill }
    }

    /// Who is taken next, and the place in the queue.
    pub(crate) fn next(&self) -> Option<(usize, &Place)> {
        let next = match (&self.passes, self.holds.is_empty()) {
            (Some(passes), _) => self.places.iter().find(|place| place.branch == *passes),
            (None, true) if self.unusable.is_none() => head(&self.places),
            (None, _) => None,
        };
        let next = next?;
        Some((self.places.iter().position(|place| place.branch == next.branch)? + 1, next))
    }

    /// Who goes before all others because it takes back what was rolled back.
    pub(crate) fn first(&self) -> Option<&RefName> {
        first(&self.holds)
    }

    /// When those in it land. What cannot be read about that hides no queue.
    pub(crate) fn forecast(&self, view: &View<'_>, shell: &mut Shell) -> Forecast {
        let under_way = under_way(view).unwrap_or_else(|error| {
            shell.warn(format!("cannot tell what is under way: {error}"));
            Vec::new()
        });
        let held = (&self.holds[..], self.passes.as_ref());
        let nobody = |why| vec![Expected::Unknown(why); self.places.len()];
        let expected = match &self.unusable {
            Some(_) => nobody(Unknown::Unusable),
            None => expected(view, &self.places, &under_way, held).unwrap_or_else(|error| {
                shell.warn(format!("cannot tell when branches land: {error}"));
                nobody(Unknown::NoPast)
            }),
        };
        Forecast { under_way, expected, now: now(view.repository) }
    }
}

fn first(holds: &[Hold]) -> Option<&RefName> {
    holds.iter().find_map(|hold| match hold {
        Hold::RolledBack(held) => held.taken_back_by.as_ref(),
        _ => None,
    })
}
