//! Why nothing can be planned, whose fault that is, and what is to be mended where.

use git_deploy_core::deployment::{Blame, Failure, Step};

use super::said::open_if;
use crate::access::AccessError;
use crate::discovery::{Resources, TargetProblem};
use crate::jobs::JobError;
use crate::plan::{Compared, Ground, Novelty, Origin, PlanError, PlanProblem, blame};

/// Why there is no plan.
pub(super) enum Refused {
    /// Objects that belong nowhere, as far as a cluster knows that may be saying that it is not ready.
    Targets { problems: Vec<TargetProblem>, is_starting: bool },
    /// Rights that are missing.
    Access(AccessError),
    /// Objects that the cluster does not take.
    Plan(PlanError),
    /// A one-time job that has not run yet and that the cluster does not take.
    Job(Box<JobError>),
    /// Anything else, whose blame is known.
    Other(Failure),
}

impl From<JobError> for Refused {
    fn from(error: JobError) -> Self {
        Self::Job(Box::new(error))
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Other(failure)
    }
}

/// One of the things that are wrong.
struct Reason {
    blame: Blame,
    hint: Option<String>,
    /// Whether it is only that the cluster could not be asked.
    is_undecided: bool,
}

impl Refused {
    /// What is said of it. Without `compared` nobody knows what is new; `named` is what names the environment to `git deploy`.
    pub(super) fn said(self, resources: &Resources, compared: Option<&Compared>, named: &str) -> Failure {
        match self {
            Self::Other(failure) => failure,
            Self::Targets { problems, is_starting } => {
                let mut texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
                texts.extend(is_starting.then(|| "the cluster says that it is not ready".to_owned()));
                let reason = |problem| Reason::of_target(problem, compared, named);
                failure(&texts.join("; "), problems.iter().map(reason).collect())
            }
            Self::Access(error) => {
                failure(&error.to_string(), vec![Reason::of_access(&error, resources, compared)])
            }
            Self::Plan(error) => {
                let reason = |problem| Reason::of_plan(problem, compared, named);
                failure(&error.to_string(), error.problems.iter().map(reason).collect())
            }
            Self::Job(error) => failure(&error.to_string(), vec![Reason::of_job(&error, compared, named)]),
        }
    }
}

impl Reason {
    fn of_target(problem: &TargetProblem, compared: Option<&Compared>, named: &str) -> Self {
        let without = without(named);
        let novelty = compared.map_or(Novelty::Unknown, |compared| compared.of_target(problem));
        let hint = match (problem, novelty) {
            (TargetProblem::OutOfBounds { why, .. }, Novelty::Old(origin)) => Some(match why.hint() {
                Some(hint) => format!("{origin} it: {hint}; or {without}"),
                None => format!("{origin} it so: {without}"),
            }),
            (TargetProblem::OutOfBounds { why, .. }, _) => why.hint().map(str::to_owned),
            (TargetProblem::UnknownKind { .. }, Novelty::Old(origin)) => {
                Some(format!("{origin} objects of that kind: have it defined in the cluster, or {without}"))
            }
            (TargetProblem::Twice { .. }, Novelty::Old(origin)) => Some(format!("{origin} both: {without}")),
            (TargetProblem::UnknownKind { .. } | TargetProblem::Twice { .. }, _) => None,
        };
        Self { blame: blame(Ground::Content, novelty), hint, is_undecided: false }
    }

    fn of_access(error: &AccessError, resources: &Resources, compared: Option<&Compared>) -> Self {
        let hint = error.hint();
        let denied = match error {
            AccessError::Denied { denied, .. } => denied,
            AccessError::Api { error } => {
                return Self { blame: error.blame(), hint, is_undecided: error.is_undecided() };
            }
        };
        let novelty = compared.map_or(Novelty::Unknown, |compared| compared.of_needs(resources, denied));
        let granted = |hint| {
            format!(
                "nothing that stands there needs that: have it granted, then queue the branch again; {hint}"
            )
        };
        let hint = if novelty == Novelty::New { hint.map(granted) } else { hint };
        Self { blame: blame(Ground::Surroundings, novelty), hint, is_undecided: false }
    }

    fn of_plan(problem: &PlanProblem, compared: Option<&Compared>, named: &str) -> Self {
        let without = without(named);
        let novelty = compared.map_or(Novelty::Unknown, |compared| compared.of_plan(problem));
        let blame = blame(problem.ground(), novelty);
        let hint = match (problem.hint(), novelty) {
            (Some(hint), _) if blame == Blame::Branch && hint.contains("--force-conflicts") => {
                Some(format!("{hint} when the branch is queued again"))
            }
            // It was never accepted: it can be mended where it comes from, too.
            (Some(hint), Novelty::Old(origin @ Origin::Base(_)))
                if problem.ground() != Ground::Environment =>
            {
                Some(format!("{hint}; {origin} it, and so has every branch on it: {without}"))
            }
            (Some(hint), _) => Some(hint.to_owned()),
            (None, Novelty::Old(origin)) if problem.ground() == Ground::Content => {
                Some(origin.refused_as_it_is(named))
            }
            (None, _) => None,
        };
        Self { blame, hint, is_undecided: problem.is_undecided() }
    }

    /// Of a one-time job the name is another one whenever what it does is.
    fn of_job(error: &JobError, compared: Option<&Compared>, named: &str) -> Self {
        let novelty = |id| compared.map_or(Novelty::Unknown, |compared| compared.of_name(id));
        let blame = match error {
            JobError::NotOurs { id } => blame(Ground::Surroundings, novelty(id)),
            JobError::Api { id, why } => blame(Ground::of(why), novelty(id)),
            JobError::FailedBefore { .. }
            | JobError::Gone { .. }
            | JobError::DoesNotGo { .. }
            | JobError::Barred { .. }
            | JobError::KeepsChanging { .. } => error.blame(),
        };
        Self { blame, hint: error.hint(named), is_undecided: error.is_undecided() }
    }
}

/// The branch's fault as soon as one of the reasons is; then what is said to be done is about that. It decides nothing where
/// the cluster could not be asked in any other way.
fn failure(text: &str, reasons: Vec<Reason>) -> Failure {
    let is_of_branch = reasons.iter().any(|reason| reason.blame == Blame::Branch);
    let blame = if is_of_branch { Blame::Branch } else { Blame::Nobody };
    let is_undecided = !reasons.is_empty() && reasons.iter().all(|reason| reason.is_undecided);
    let hint =
        reasons.into_iter().filter(|reason| reason.blame == blame).filter_map(|reason| reason.hint).min();
    open_if(is_undecided, Failure::new(Step::Plan, blame, text).hint(hint))
}

impl Origin {
    /// What to do about an object that nobody has changed and that is refused.
    fn refused_as_it_is(&self, named: &str) -> String {
        match self {
            Self::Latest(_) => format!(
                "{self} applied it as it is: see which policy, webhook or definition is new in the cluster, or {}",
                without(named)
            ),
            Self::Base(_) => format!(
                "{self} it as it is, and so has every branch on it: go forward with a branch that mends it: git deploy{named} <branch>"
            ),
        }
    }
}

/// How a queue that waits goes on without what it waits for.
fn without(named: &str) -> String {
    format!("go forward with a branch that takes it out: git deploy{named} <branch>")
}
