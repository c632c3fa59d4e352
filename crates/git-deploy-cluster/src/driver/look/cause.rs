//! Why a workload is not ready: what a deployment would say that waits for it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::stream::{self, StreamExt};
use git_deploy_core::deployment::Step;
use git_deploy_core::environment::{Pulse, Status};
use git_deploy_manifest::readiness::{
    Around, Health, Patience, Surroundings, controller_of, first_cause, judge,
};
use git_deploy_manifest::value::uid;
use git_deploy_manifest::{GroupKind, ObjectId};
use serde_json::Value;

use super::super::ClusterDriver;
use super::super::said::named;
use super::super::state::Session;
use super::sight::Sight;
use crate::members;
use crate::objects::{Depth, IN_FLIGHT};

impl ClusterDriver<'_> {
    /// Says of each workload that is not ready why. Pods are asked for once a namespace, and only where something is not
    /// ready; where that is not possible, it stays said that it is not ready.
    pub(super) fn tell_causes(
        &self,
        session: &Session,
        sight: &Sight,
        status: &mut Status,
        pulse: &dyn Pulse,
    ) {
        let troubled: BTreeSet<String> = status
            .workloads
            .iter()
            .filter(|workload| workload.trouble.is_some())
            .filter_map(|workload| workload.object.namespace.clone())
            .collect();
        if troubled.is_empty() {
            return;
        }
        let Ok((glance, hidden)) =
            self.run(Step::Plan, pulse, async { Ok(Glance::at(session, troubled).await) })
        else {
            return;
        };
        if !hidden.is_empty() {
            status.unseen.push(format!("why something is not ready (needs the right to list {hidden})"));
        }
        for (id, live) in sight.standing() {
            let name = named(id);
            let workload = status.workloads.iter_mut().find(|workload| workload.object == name);
            if let Some(workload) = workload.filter(|workload| workload.trouble.is_some())
                && let Some(cause) = glance.cause(id, live)
            {
                workload.trouble = Some(cause);
            }
        }
    }
}

/// One look at what workloads are made of.
struct Glance(BTreeMap<(Around, String), Vec<Value>>);

impl Glance {
    /// What is in these namespaces, and what may not be listed there.
    async fn at(session: &Session, namespaces: BTreeSet<String>) -> (Self, String) {
        let kinds = [
            (Around::Pods, GroupKind::new("", "Pod")),
            (Around::ReplicaSets, GroupKind::new("apps", "ReplicaSet")),
        ];
        let kinds =
            kinds.into_iter().filter_map(|(what, kind)| Some((what, session.resources.find_kind(&kind)?.0)));
        let places = kinds.flat_map(|(what, resource)| {
            namespaces.iter().map(move |namespace| (what, resource.clone(), namespace.clone()))
        });
        let mut answers = stream::iter(places)
            .map(|(what, resource, namespace)| async move {
                let plural = resource.plural.clone();
                let place = Some(namespace.clone());
                let found = members::list(&session.connection, resource, place, "", Depth::Whole).await;
                (what, namespace, found.map_err(|_| plural))
            })
            .buffer_unordered(IN_FLIGHT);
        let (mut glance, mut hidden) = (Self(BTreeMap::new()), BTreeSet::new());
        while let Some((what, namespace, found)) = answers.next().await {
            match found {
                Ok(found) => {
                    let objects = found.into_iter().map(|member| member.live).collect();
                    glance.0.insert((what, namespace), objects);
                }
                Err(plural) => drop(hidden.insert(plural)),
            }
        }
        drop(answers);
        (glance, hidden.into_iter().collect::<Vec<_>>().join(" and "))
    }

    /// The first cause in the pods of a workload, or else what it is waited for.
    fn cause(&self, id: &ObjectId, live: &Value) -> Option<String> {
        // Whatever it says of itself counts, however old it is.
        let mut at_apply = live.clone();
        at_apply.as_object_mut()?.remove("status");
        let patience = Patience::default();
        match judge(id, live, &at_apply, self, &patience) {
            Health::Ready => None,
            Health::Failed(trouble) => Some(trouble.reason),
            Health::ReadyBut(note) => Some(note),
            Health::Waiting(wait) => {
                let cause = first_cause(self.pods(id, live), self, &patience).map(|trouble| trouble.reason);
                cause.or(wait.warning).or(Some(wait.what))
            }
        }
    }

    /// The pods of a workload, by their controllers.
    fn pods(&self, id: &ObjectId, live: &Value) -> Vec<&Value> {
        let namespace = id.namespace.as_deref().unwrap_or_default();
        let sets = self.controlled(Around::ReplicaSets, namespace, uid(live));
        let owners: BTreeSet<&str> = sets.into_iter().map(uid).chain([uid(live)]).collect();
        let pods = self.all(Around::Pods, namespace).unwrap_or_default();
        pods.into_iter().filter(|pod| owners.contains(controller_of(pod)) || uid(pod) == uid(live)).collect()
    }
}

impl Surroundings for Glance {
    fn all(&self, what: Around, namespace: &str) -> Option<Vec<&Value>> {
        Some(self.0.get(&(what, namespace.to_owned()))?.iter().collect())
    }

    /// Nobody has watched: every trouble that there is counts as the cause.
    fn observed(&self, _: &str) -> Duration {
        Duration::MAX
    }

    fn is_served(&self, _: &str, _: &str, _: &str) -> Option<bool> {
        None
    }
}
