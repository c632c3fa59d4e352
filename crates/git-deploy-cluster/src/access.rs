//! Whether we may do what a deployment will do, asked before anything is changed.
//!
//! One [SelfSubjectRulesReview][1] a namespace answers most questions at once. It is believed only where it says yes, and only
//! where it says that it knows all rules; everything else is asked one by one.
//!
//! [1]: https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access

use std::collections::BTreeSet;
use std::fmt;

use futures::stream::{self, StreamExt, TryStreamExt};
use git_deploy_core::deployment::Blame;
use git_deploy_manifest::rights::{
    PARENT, VERB_OF_BLOCKING_PODS, VERBS_OF_MEMBERS, VERBS_OF_NAMESPACE, VERBS_OF_PARENT,
};
use http::Method;
use kube::core::discovery::ApiResource;
use serde_json::{Value, json};

use crate::api_error::{ApiError, ApiErrorKind};
use crate::connect::{Connection, request};
use crate::namespace::has_namespace;
use crate::objects::IN_FLIGHT;
use crate::target::Target;

/// Something that we must be allowed to do; displays as `patch deployments.apps in namespace 'shop'`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Need {
    /// The API group; empty for core.
    pub group: String,
    /// Such as `deployments`, or `deployments/scale`.
    pub resource: String,
    /// Where; everywhere in the cluster without one.
    pub namespace: Option<String>,
    /// Such as `patch`.
    pub verb: &'static str,
}

impl Need {
    /// To do that to objects of a kind.
    pub fn of(resource: &ApiResource, namespace: Option<&str>, verb: &'static str) -> Self {
        Self {
            group: resource.group.clone(),
            resource: resource.plural.clone(),
            namespace: namespace.map(str::to_owned),
            verb,
        }
    }

    /// What the Lease and the parent of a set in that namespace need.
    pub fn of_parent(namespace: &str) -> impl Iterator<Item = Self> {
        let need = |(group, resource): (&str, &str), verb| Self {
            group: group.to_owned(),
            resource: resource.to_owned(),
            namespace: Some(namespace.to_owned()),
            verb,
        };
        PARENT.into_iter().flat_map(move |kind| VERBS_OF_PARENT.map(|verb| need(kind, verb)))
    }

    /// What an object of the set needs besides: a StatefulSet that replaces its pods in order may wait for one that never
    /// becomes ready, and that pod is deleted then.
    pub(crate) fn beside(target: &Target) -> Option<Self> {
        let spec = |pointer: &str| target.wanted.pointer(pointer).and_then(Value::as_str);
        let is_ordered = spec("/spec/podManagementPolicy") != Some("Parallel")
            && spec("/spec/updateStrategy/type") != Some("OnDelete");
        let is_set = (target.id.group.as_str(), target.id.kind.as_str()) == ("apps", "StatefulSet");
        (is_set && is_ordered).then(|| Self {
            group: String::new(),
            resource: "pods".to_owned(),
            namespace: target.id.namespace.clone(),
            verb: VERB_OF_BLOCKING_PODS,
        })
    }

    /// `deployments.apps`, as kubectl names it.
    fn full_resource(&self) -> String {
        match (self.group.as_str(), self.resource.split_once('/')) {
            ("", _) => self.resource.clone(),
            (group, Some((resource, sub))) => format!("{resource}.{group}/{sub}"),
            (group, None) => format!("{}.{group}", self.resource),
        }
    }

    fn place(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("in namespace '{namespace}'"),
            None => "in the whole cluster".to_owned(),
        }
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.verb, self.full_resource(), self.place())
    }
}

/// Why a deployment cannot begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// We may not do all that it takes.
    #[error("{} may not {}", user_text(.user.as_deref()), summary(.denied))]
    Denied {
        /// Who we are, if the cluster says so.
        user: Option<String>,
        /// What we may not do, sorted.
        denied: Vec<Need>,
        /// The context that was used.
        context: String,
    },
    /// The cluster could not be asked.
    #[error("cannot ask what is allowed: {error}")]
    Api {
        /// The answer.
        error: ApiError,
    },
}

impl AccessError {
    /// Whose fault it is: nobody's.
    pub fn blame(&self) -> Blame {
        Blame::Nobody
    }

    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Denied { denied, context, .. } => denied.first().map(|need| {
                let namespace =
                    need.namespace.as_ref().map(|name| format!(" --namespace={name}")).unwrap_or_default();
                let (verb, resource) = (need.verb, need.full_resource());
                let context = context.escape_debug();
                format!("ask 'kubectl --context={context} auth can-i {verb} {resource}{namespace}'")
            }),
            Self::Api { error } => error.hint().map(str::to_owned),
        }
    }
}

impl From<ApiError> for AccessError {
    fn from(error: ApiError) -> Self {
        Self::Api { error }
    }
}

fn user_text(user: Option<&str>) -> String {
    user.map_or_else(|| "the user".to_owned(), |user| format!("user '{}'", user.escape_debug()))
}

/// One part for each kind and place, with all verbs.
fn summary(denied: &[Need]) -> String {
    let mut parts: Vec<(String, Vec<&str>)> = Vec::new();
    for need in denied {
        let object = format!("{} {}", need.full_resource(), need.place());
        match parts.last_mut() {
            Some((last, verbs)) if *last == object => verbs.push(need.verb),
            _ => parts.push((object, vec![need.verb])),
        }
    }
    let part = |(object, verbs): &(String, Vec<&str>)| format!("{} {object}", verbs.join(", "));
    parts.iter().map(part).collect::<Vec<_>>().join("; ")
}

/// All that it takes to deploy these objects into an environment that lives in that namespace.
///
/// The Namespace itself is no member of the set: it may be changed by whoever may do no more than that, and must be created
/// by somebody where it is not there.
pub(crate) async fn needs_of(connection: &Connection, own: &str, targets: &[Target]) -> Vec<Need> {
    let is_own = |target: &&Target| target.id.is_namespace() && target.id.name == own;
    let (own_namespace, members): (Vec<&Target>, Vec<&Target>) = targets.iter().partition(is_own);
    let of_member = |target: &&Target| {
        let namespace = target.id.namespace.as_deref();
        VERBS_OF_MEMBERS.map(|verb| Need::of(&target.resource, namespace, verb))
    };
    let mut needs: Vec<Need> = members.iter().flat_map(of_member).collect();
    needs.extend(members.iter().filter_map(|target| Need::beside(target)));
    needs.extend(Need::of_parent(own));
    let of_namespaces = |namespace: Option<&str>, verb| Need {
        group: String::new(),
        resource: "namespaces".to_owned(),
        namespace: namespace.map(str::to_owned),
        verb,
    };
    if !own_namespace.is_empty() {
        // A request for one namespace is one in it.
        needs.extend(VERBS_OF_NAMESPACE.map(|verb| of_namespaces(Some(own), verb)));
    }
    // Whatever hinders the question is told when the namespace is taken.
    if !has_namespace(connection, own).await.unwrap_or(true) {
        needs.push(of_namespaces(None, "create"));
    }
    needs
}

/// Makes sure that we may do all of this.
///
/// A cluster that does not let itself be asked is no obstacle: it refuses when the time has come.
///
/// # Errors
/// When we may not, with all that is denied; or when the cluster cannot be reached.
pub async fn require_access(
    connection: &Connection,
    needs: impl IntoIterator<Item = Need>,
) -> Result<(), AccessError> {
    let needs: BTreeSet<Need> = needs.into_iter().collect();
    let namespaces: BTreeSet<&str> = needs.iter().filter_map(|need| need.namespace.as_deref()).collect();
    let rules: Vec<(&str, Vec<Rule>)> = stream::iter(namespaces)
        .map(async |namespace| rules_of(connection, namespace).await.map(|rules| (namespace, rules)))
        .buffer_unordered(IN_FLIGHT)
        .try_collect()
        .await?;
    let is_granted = |need: &&Need| {
        let of_place = rules.iter().filter(|(namespace, _)| need.namespace.as_deref() == Some(namespace));
        of_place.flat_map(|(_, rules)| rules).any(|rule| rule.grants(need))
    };
    let open: Vec<Need> = needs.iter().filter(|need| !is_granted(need)).cloned().collect();
    let mut denied = denied_of(connection, &open).await?;
    let is_starting = !denied.is_empty() && connection.is_starting().await;
    // It may not have known its rules a moment ago, and others may know them.
    let mut doubt = connection.doubt();
    while !denied.is_empty()
        && let Some(pause) = doubt.next()
    {
        tokio::time::sleep(pause).await;
        denied = denied_of(&connection.elsewhere(), &denied).await?;
    }
    if denied.is_empty() {
        return Ok(());
    }
    denied.sort();
    let user = user_name(connection).await;
    let error = AccessError::Denied { user, denied, context: connection.context().to_owned() };
    Err(if is_starting { ApiError::not_ready(&error).into() } else { error })
}

/// Those of them that may not be done.
async fn denied_of(connection: &Connection, needs: &[Need]) -> Result<Vec<Need>, ApiError> {
    stream::iter(needs)
        .map(async |need| is_allowed(connection, need).await.map(|allowed| (!allowed).then(|| need.clone())))
        .buffer_unordered(IN_FLIGHT)
        .try_filter_map(async |denied| Ok(denied))
        .try_collect()
        .await
}

/// A rule of [RBAC](https://kubernetes.io/docs/reference/access-authn-authz/rbac/), as far as it concerns all objects.
struct Rule {
    groups: Vec<String>,
    resources: Vec<String>,
    verbs: Vec<String>,
}

impl Rule {
    /// A rule for some names only says nothing about the others.
    fn parse(rule: &Value) -> Option<Self> {
        let words = |key: &str| -> Vec<String> {
            let list = rule[key].as_array().into_iter().flatten();
            list.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        words("resourceNames").is_empty().then(|| Self {
            groups: words("apiGroups"),
            resources: words("resources"),
            verbs: words("verbs"),
        })
    }

    fn grants(&self, need: &Need) -> bool {
        let has = |words: &[String], word: &str| words.iter().any(|w| w == "*" || w == word);
        let resource = has(&self.resources, &need.resource)
            || need
                .resource
                .split_once('/')
                .is_some_and(|(_, sub)| has(&self.resources, &format!("*/{sub}")));
        has(&self.groups, &need.group) && resource && has(&self.verbs, need.verb)
    }
}

/// The rules for a namespace; none where the cluster does not know or tell all of them.
async fn rules_of(connection: &Connection, namespace: &str) -> Result<Vec<Rule>, ApiError> {
    let status = review(connection, "selfsubjectrulesreviews", json!({"namespace": namespace})).await?;
    let Some(status) = status.filter(|status| status["incomplete"] != true) else { return Ok(Vec::new()) };
    let rules = status["resourceRules"].as_array().into_iter().flatten();
    Ok(rules.filter_map(Rule::parse).collect())
}

async fn is_allowed(connection: &Connection, need: &Need) -> Result<bool, ApiError> {
    let (resource, subresource) = need.resource.split_once('/').unwrap_or((&need.resource, ""));
    let attributes = json!({
        "namespace": need.namespace.as_deref().unwrap_or_default(),
        "verb": need.verb,
        "group": need.group,
        "resource": resource,
        "subresource": subresource,
    });
    let status =
        review(connection, "selfsubjectaccessreviews", json!({"resourceAttributes": attributes})).await?;
    Ok(status.is_none_or(|status| status["allowed"] == true))
}

/// Asks about ourselves; nothing where the cluster does not answer such questions.
async fn review(connection: &Connection, kind: &str, spec: Value) -> Result<Option<Value>, ApiError> {
    let path = format!("/apis/authorization.k8s.io/v1/{kind}");
    let body = json!({"spec": spec}).to_string().into_bytes();
    // One that may not be asked at all need not be asked twice.
    match connection.believing().call(request(Method::POST, &path, body)).await {
        Ok(mut answer) => Ok(Some(answer["status"].take())),
        Err(error) if matches!(error.kind(), ApiErrorKind::Forbidden | ApiErrorKind::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What the cluster calls us.
async fn user_name(connection: &Connection) -> Option<String> {
    let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    // It is only a word more: clusters before 1.28 cannot tell.
    let answer = connection.believing().call(request(Method::POST, path, b"{}".to_vec())).await.ok()?;
    Some(answer["status"]["userInfo"]["username"].as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(verb: &'static str, group: &str, resource: &str, namespace: Option<&str>) -> Need {
        Need {
            group: group.to_owned(),
            resource: resource.to_owned(),
            namespace: namespace.map(str::to_owned),
            verb,
        }
    }

    #[test]
    fn a_rule_grants_what_it_names_and_what_stars_stand_for() {
        let rule = |groups: &[&str], resources: &[&str], verbs: &[&str]| {
            Rule::parse(&json!({"apiGroups": groups, "resources": resources, "verbs": verbs})).unwrap()
        };
        let patch = need("patch", "apps", "deployments", Some("a"));
        let scale = need("patch", "apps", "deployments/scale", Some("a"));
        assert!(rule(&["apps"], &["deployments"], &["get", "patch"]).grants(&patch));
        assert!(rule(&["*"], &["*"], &["*"]).grants(&patch));
        assert!(rule(&["*"], &["*"], &["*"]).grants(&scale));
        assert!(rule(&["apps"], &["*/scale"], &["patch"]).grants(&scale));
        for (groups, resources, verbs) in [
            (["apps"], ["deployments"], ["get"]),
            ([""], ["deployments"], ["*"]),
            (["apps"], ["deployments/scale"], ["*"]),
            (["apps"], ["*/scale"], ["*"]),
            (["apps*"], ["deploy*"], ["pat*"]),
        ] {
            assert!(!rule(&groups, &resources, &verbs).grants(&patch), "{groups:?} {resources:?} {verbs:?}");
        }
        assert!(!rule(&["apps"], &["deployments"], &["*"]).grants(&scale));
    }

    #[test]
    fn a_rule_for_some_names_grants_nothing() {
        let rule = json!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"], "resourceNames": ["a"]});
        assert!(Rule::parse(&rule).is_none());
    }

    #[test]
    fn all_that_is_denied_is_told_at_once() {
        let error = AccessError::Denied {
            user: Some("jane".to_owned()),
            denied: vec![
                need("create", "apps", "deployments", Some("shop")),
                need("patch", "apps", "deployments", Some("shop")),
                need("patch", "rbac.authorization.k8s.io", "clusterroles", None),
            ],
            context: "production".to_owned(),
        };
        assert_eq!(
            error.to_string(),
            "user 'jane' may not create, patch deployments.apps in namespace 'shop'; \
             patch clusterroles.rbac.authorization.k8s.io in the whole cluster"
        );
        assert_eq!(
            error.hint().unwrap(),
            "ask 'kubectl --context=production auth can-i create deployments.apps --namespace=shop'"
        );
    }
}
