//! Whose fault it is that something is refused before anything was changed.

use std::fmt;

use git_deploy_core::deployment::Blame;
use git_deploy_core::ids::DeploymentId;

use crate::api_error::{ApiError, ApiErrorKind};

/// What a refusal rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ground {
    /// The environment as a whole: it cannot be asked, it fails, it asks to wait, or a webhook of it cannot be called.
    Environment,
    /// What stands in the object: a kind that is not known or not allowed, what is not valid, what can never be changed,
    /// what a policy or a webhook denies.
    Content,
    /// What is beside the object: another's object of that name, a field that another holds, a quota that is used up, a
    /// namespace that is not there, a right that was not given.
    Surroundings,
}

/// Whether what is refused is new with the candidate.
///
/// What that is depends on the refusal: of a kind that is not known it is the kind, of a collision the object's name, of a
/// field that others hold the field, of a right the kind in that namespace, of all else the object as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Novelty<'a> {
    /// Base does not have it, and nothing was deployed successfully yet, or what was is not kept.
    Unknown,
    /// It was there without the candidate.
    Old(&'a Origin),
    /// The candidate brings it, or changes it.
    New,
}

/// Who has something whatever the candidate is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The latest success, which was applied.
    Latest(DeploymentId),
    /// The base that the candidate stands on, by its name: what came there since, and what it still has after a rollback.
    Base(String),
}

/// Displays as the beginning of a sentence: `deployment-0007 had`, `'master' has`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest(id) => write!(f, "{id} had"),
            Self::Base(name) => write!(f, "'{name}' has"),
        }
    }
}

/// Whose fault a refusal is. A branch that is to blame becomes staged and the queue goes on without it; where nobody is, all
/// of the queue waits until somebody has mended the cluster, or base.
///
/// - What the latest success had already was accepted then. Since then it is the cluster that has changed: an administrator
///   took away a definition or a right, another took over an object, a policy was put up. Every branch that has it would meet
///   the same, so that to stage one after the other would empty the queue for nothing. It waits, and a person who mends the
///   cause finds it as it was. Whoever wants to go on without it names a branch that takes it out.
/// - What base has itself every branch has, too, whether it was ever deployed or not: it was pushed there directly, or it is
///   what base still has after a rollback. No branch that does not happen to be about it can mend that. It waits as well.
/// - What is new with the candidate no other branch need meet. It is the branch's, also where the cause is in the cluster:
///   another's object of the same name, a quota that is used up, a right that the runner does not have for a kind that nothing
///   has needed yet. Somebody has to act either way, by another name or by granting what is missing, and until then one branch
///   must not hold up all the others. What it costs if it was the administrator's turn is to queue that branch again.
/// - On a first deployment there is only base to compare with, and what it has waits as ever. What it does not have need not be
///   the branch's: a person is setting the environment up. What is wrong in an object is wrong whatever the cluster has, and is
///   told as the branch's. What is around it (objects that were there before, rights, quotas) the next branch would meet as
///   well: staging each would only hide that somebody has to decide whether these objects are taken over, or to grant what is
///   missing. That waits.
/// - What the environment as a whole suffers from is nobody's, always.
pub(crate) fn blame(ground: Ground, novelty: Novelty<'_>) -> Blame {
    match (ground, novelty) {
        (Ground::Environment, _) | (_, Novelty::Old(_)) | (Ground::Surroundings, Novelty::Unknown) => {
            Blame::Nobody
        }
        (Ground::Content, Novelty::New | Novelty::Unknown) | (Ground::Surroundings, Novelty::New) => {
            Blame::Branch
        }
    }
}

impl Ground {
    /// What an answer about an object rests on.
    pub(crate) fn of(why: &ApiError) -> Self {
        match why.kind() {
            ApiErrorKind::Invalid
            | ApiErrorKind::Immutable
            | ApiErrorKind::Denied
            | ApiErrorKind::NoDryRun => Self::Content,
            ApiErrorKind::Forbidden if why.is_of_leaving_namespace() => Self::Environment,
            ApiErrorKind::FieldConflict(_)
            | ApiErrorKind::Forbidden
            | ApiErrorKind::NotFound
            | ApiErrorKind::Quota => Self::Surroundings,
            ApiErrorKind::Unreachable
            | ApiErrorKind::TimedOut
            | ApiErrorKind::Unauthorized
            | ApiErrorKind::Changed
            | ApiErrorKind::NotYet
            | ApiErrorKind::TooMany
            | ApiErrorKind::Server
            | ApiErrorKind::NotUnderstood => Self::Environment,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_is_the_branchs_and_what_was_there_nobodys() {
        use Blame::{Branch, Nobody};
        use Ground::{Content, Environment, Surroundings};
        use Novelty::{New, Unknown};
        let base = Origin::Base("master".to_owned());
        let old = Novelty::Old(&base);
        for (ground, novelty, expected) in [
            (Environment, Unknown, Nobody),
            (Environment, old, Nobody),
            (Environment, New, Nobody),
            (Content, Unknown, Branch),
            (Content, old, Nobody),
            (Content, New, Branch),
            (Surroundings, Unknown, Nobody),
            (Surroundings, old, Nobody),
            (Surroundings, New, Branch),
        ] {
            assert_eq!(blame(ground, novelty), expected, "{ground:?} {novelty:?}");
        }
    }

    #[test]
    fn where_nothing_can_be_compared_an_answer_is_blamed_as_it_is_everywhere_else() {
        let of = |code: u16, message: &str| {
            let body = format!("{{\"kind\":\"Status\",\"message\":\"{message}\"}}");
            ApiError::from_answer(code, body.as_bytes())
        };
        for (why, ground) in [
            (of(422, "spec.replicas: Invalid value"), Ground::Content),
            (of(422, "field is immutable"), Ground::Content),
            (of(400, "admission webhook denied the request: no"), Ground::Content),
            (of(403, "exceeded quota: few"), Ground::Surroundings),
            (of(403, "User cannot patch resource"), Ground::Surroundings),
            (of(404, "namespaces not found"), Ground::Surroundings),
            (of(403, "unable to create new content because it is being terminated"), Ground::Environment),
            (of(401, "Unauthorized"), Ground::Environment),
            (of(409, "the object has been modified"), Ground::Environment),
            (of(500, "failed calling webhook"), Ground::Environment),
            (of(503, "unable to handle the request"), Ground::Environment),
        ] {
            assert_eq!(Ground::of(&why), ground, "{why}");
            assert_eq!(blame(ground, Novelty::Unknown), why.blame(), "{why}");
        }
    }
}
