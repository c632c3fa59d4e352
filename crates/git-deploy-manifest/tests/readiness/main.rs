//! Readiness held against objects that a real API server and its controllers wrote (`objects/`, made by
//! `objects/record`).

mod early;
mod mutilated;
mod recorded;
mod table;

use git_deploy_manifest::readiness::{
    Around, Health, Patience, Wait, blocking_pod, first_cause, ready_of_wanted,
};
use serde_json::{Value, json};

use recorded::{Recorded, all_recorded, health_of, id, in_words, is_like, recorded};
use table::TABLE;

#[test]
fn each_object_that_was_recorded_is_judged_as_the_table_says() {
    let mut wrong = Vec::new();
    for (name, first, later) in TABLE {
        let later = if later.is_empty() { first } else { later };
        for (seconds, expected) in [(0, first), (3600, later)] {
            let found = in_words(recorded(name).for_seconds(seconds).health());
            if !is_like(&found, expected) {
                wrong.push(format!("{name} after {seconds} s\n  is       {found}\n  not like {expected}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_recording_has_a_row_in_the_table() {
    let rows: Vec<_> = TABLE.iter().map(|row| row.0).collect();
    assert_eq!(all_recorded(), rows);
}

#[test]
fn a_pod_without_a_node_is_warned_of_before_it_fails_anything() {
    let words = in_words(recorded("deployment-unschedulable").for_seconds(15).health());
    assert!(
        is_like(&words, "waiting: 0 of 2 new pods are available; warning: no node takes pod '*"),
        "{words}"
    );
    assert!(!in_words(health_of("deployment-unschedulable")).contains("warning"));
}

#[test]
fn a_container_that_crashed_is_given_its_grace() {
    for (seconds, is_failed) in [(0, false), (29, false), (30, true)] {
        let health = recorded("deployment-crashing").for_seconds(seconds).health();
        assert_eq!(matches!(health, Health::Failed(_)), is_failed, "{seconds} s: {health:?}");
    }
    let mut once = recorded("deployment-crashing").for_seconds(3600);
    for pod in once.around["pods"].as_array_mut().unwrap() {
        let status = &mut pod["status"]["containerStatuses"][0];
        status["restartCount"] = json!(0);
        status["state"] = json!({"terminated": {"exitCode": 1}});
    }
    assert!(matches!(once.health(), Health::Waiting(_)), "one crash is an accident");
}

#[test]
fn a_container_that_crashed_and_runs_again_is_not_doomed() {
    for state in
        [json!({"running": {"startedAt": "2026-11-20T12:00:00Z"}}), json!({"waiting": null, "running": {}})]
    {
        let mut again = recorded("deployment-crashing").for_seconds(3600);
        for pod in again.around["pods"].as_array_mut().unwrap() {
            pod["status"]["containerStatuses"][0]["state"] = state.clone();
        }
        assert!(matches!(again.health(), Health::Waiting(_)), "{:?}", again.health());
    }
}

#[test]
fn one_doomed_pod_of_two_is_told_and_fails_only_when_nothing_moves_any_more() {
    let one_is_well = || {
        let mut scene = recorded("deployment-crashing");
        scene.around["pods"][0]["status"]["containerStatuses"][0] =
            json!({"name": "web", "ready": true, "restartCount": 0, "state": {"running": {}}});
        scene
    };
    let health = one_is_well().for_seconds(60).health();
    assert!(matches!(&health, Health::Waiting(Wait { warning: Some(_), .. })), "{health:?}");
    assert!(matches!(one_is_well().for_seconds(240).health(), Health::Failed(_)));
}

#[test]
fn pods_that_fail_one_after_the_other_use_the_budget_up() {
    let mut scene = recorded("deployment-crashing");
    let mut over = scene.around["pods"][0].clone();
    over["status"] = json!({"phase": "Failed", "reason": "Error"});
    for pod in scene.around["pods"].as_array_mut().unwrap() {
        pod["status"] = json!({"phase": "Pending"});
    }
    scene.around["pods"].as_array_mut().unwrap().push(over.clone());
    assert!(matches!(scene.health(), Health::Waiting(_)), "one may be bad luck");
    scene.around["pods"].as_array_mut().unwrap().push(over);
    assert!(matches!(scene.health(), Health::Failed(_)), "as many as there should be pods");
}

#[test]
fn a_pod_of_an_earlier_revision_that_is_not_ready_blocks_a_stateful_set() {
    let patience = Patience::default();
    let blocking = |scene: &mut Recorded, change: &dyn Fn(&mut Value)| {
        change(&mut scene.object);
        let pod = blocking_pod(&id(&scene.object), &scene.object, &scene.at_apply, scene, &patience);
        pod.into_iter().map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let same = |_: &mut Value| {};
    assert_eq!(blocking(&mut recorded("stateful-set-blocked"), &same), ["web-1"]);
    for (why, change) in [
        (
            "in parallel",
            &(|set: &mut Value| set["spec"]["podManagementPolicy"] = json!("Parallel"))
                as &dyn Fn(&mut Value),
        ),
        ("by hand", &|set| set["spec"]["updateStrategy"]["type"] = json!("OnDelete")),
        ("not seen yet", &|set| set["status"]["observedGeneration"] = json!(1)),
    ] {
        assert!(blocking(&mut recorded("stateful-set-blocked"), change).is_empty(), "{why}");
    }
    // Its own revision is no earlier one, and pods that are ready are in nobody's way.
    for name in ["stateful-set-doomed", "stateful-set-rolling", "stateful-set-ready"] {
        assert!(blocking(&mut recorded(name), &same).is_empty(), "{name}");
    }
    // One that only does not become ready is given much more time.
    let unready = |seconds| {
        let mut scene = recorded("stateful-set-blocked").for_seconds(seconds);
        for pod in scene.around["pods"].as_array_mut().unwrap() {
            if pod["metadata"]["name"] == "web-1" {
                pod["status"] = json!({"phase": "Running"});
            }
        }
        scene
    };
    assert!(blocking(&mut unready(239), &same).is_empty());
    assert_eq!(blocking(&mut unready(240), &same), ["web-1"]);
}

#[test]
fn of_several_pods_that_are_not_ready_only_the_one_is_in_the_way_that_the_controller_waits_for() {
    let patience = Patience::default();
    let blocking = |scene: &Recorded| {
        let pod = blocking_pod(&id(&scene.object), &scene.object, &scene.at_apply, scene, &patience);
        pod.into_iter().map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    // It looks at them from the lowest ordinal up, and goes no further than to the first that is not ready.
    let mut scene = recorded("stateful-set-blocked");
    let pods = scene.around["pods"].as_array_mut().unwrap();
    let doomed = pods[1].clone();
    let named = |ordinal: usize| {
        let mut pod = doomed.clone();
        pod["metadata"]["name"] = json!(format!("web-{ordinal}"));
        pod["metadata"]["uid"] = json!(format!("of web-{ordinal}"));
        pod
    };
    pods.extend([10, 2].map(named));
    assert_eq!(blocking(&scene), ["web-1"]);
    scene.around["pods"].as_array_mut().unwrap().remove(1);
    assert_eq!(blocking(&scene), ["web-2"], "which is before 10");

    // What it waits for is on its way: nobody else is in its way.
    let mut scene = recorded("stateful-set-blocked");
    scene.around["pods"][0]["status"] = json!({"phase": "Pending"});
    assert_eq!(blocking(&scene), [""; 0], "one of the new revision is starting");
    scene.around["pods"][0]["metadata"]["deletionTimestamp"] = json!("2026-11-20T12:00:00Z");
    assert_eq!(blocking(&scene), [""; 0], "one is going");
    let mut scene = recorded("stateful-set-blocked").for_seconds(100);
    scene.around["pods"][0] = named(0);
    scene.around["pods"][0]["status"] = json!({"phase": "Running"});
    assert_eq!(blocking(&scene), [""; 0], "one that runs may still become ready");
}

#[test]
fn a_condition_of_an_older_generation_does_not_count() {
    for (which, name, expected) in [
        ("Ready", "custom-ready", "waiting: its controller has not seen the change yet"),
        ("Stalled", "custom-stalled", "ready"),
        ("Reconciling", "custom-reconciling", "ready"),
    ] {
        let with = |observed: i64| {
            let mut scene = recorded(name);
            scene.object["metadata"]["generation"] = json!(2);
            scene.object["status"].as_object_mut().unwrap().remove("observedGeneration");
            let conditions = scene.object["status"]["conditions"].as_array_mut().unwrap();
            conditions.retain(|found| found["type"] == which);
            assert_eq!(conditions.len(), 1, "{name}");
            conditions[0]["observedGeneration"] = json!(observed);
            in_words(scene.health())
        };
        assert_eq!(with(1), expected, "{name}");
        assert_eq!(with(2), in_words(health_of(name)), "{name}");
    }
}

#[test]
fn a_deployment_is_ready_while_it_is_paused_only_by_its_own_manifest() {
    let applied = |by_us: Value| {
        let mut scene = recorded("deployment-paused");
        let other = json!({"f:spec": {"f:paused": {}}});
        let entry = |manager: &str, operation: &str, fields: &Value| json!({"manager": manager, "operation": operation, "apiVersion": "apps/v1", "fieldsType": "FieldsV1", "fieldsV1": fields});
        scene.at_apply["metadata"]["managedFields"] =
            json!([entry("git-deploy", "Apply", &by_us), entry("kubectl-patch", "Update", &other)]);
        scene
    };
    let by_manifest = applied(json!({"f:spec": {"f:paused": {}, "f:replicas": {}}}));
    let ready = "ready, but it is paused: its pods stay what they are until it is resumed";
    assert_eq!(in_words(by_manifest.health()), ready);
    let waiting = "waiting: it is paused by hand; warning: it is paused by hand: nothing is rolled out until somebody resumes it";
    let by_hand = applied(json!({"f:spec": {"f:replicas": {}}}));
    assert_eq!(in_words(by_hand.health()), waiting);

    let mut later = recorded("deployment-paused");
    later.at_apply["spec"].as_object_mut().unwrap().remove("paused");
    assert_eq!(in_words(later.health()), waiting);
}

#[test]
fn pods_that_their_node_took_away_do_not_count() {
    for taken in [
        json!({"phase": "Failed", "reason": "Evicted"}),
        json!({"phase": "Failed", "reason": "Preempting"}),
        json!({"phase": "Failed", "reason": "OutOfcpu"}),
        json!({"phase": "Failed", "reason": "", "conditions": [{"type": "DisruptionTarget", "status": "True"}]}),
    ] {
        let mut scene = recorded("deployment-crashing").for_seconds(3600);
        for pod in scene.around["pods"].as_array_mut().unwrap() {
            pod["status"] = taken.clone();
        }
        assert!(matches!(scene.health(), Health::Waiting(_)), "{taken}");
    }
}

#[test]
fn only_pods_of_the_newest_replica_set_doom_a_deployment() {
    for (what, change) in [
        ("/pods/0/metadata/ownerReferences/0/uid", json!("another")),
        ("/replica_sets/0/metadata/ownerReferences/0/uid", json!("another")),
        ("/replica_sets/0/metadata/annotations/deployment.kubernetes.io~1revision", json!("0")),
    ] {
        let mut scene = recorded("deployment-ImagePullBackOff");
        let owner = scene.around["replica_sets"].as_array().unwrap().len();
        assert_eq!(owner, 1);
        for index in 0..scene.around["pods"].as_array().unwrap().len() {
            let pointer = what.replace("/pods/0", &format!("/pods/{index}"));
            if let Some(value) = scene.around.pointer_mut(&pointer) {
                *value = change.clone();
            }
        }
        assert_eq!(in_words(scene.health()), "waiting: 0 of 2 new pods are available", "{what}");
    }
}

#[test]
fn a_deadline_counts_when_it_was_exceeded_after_the_apply() {
    let mut scene = recorded("deployment-deadline-of-before");
    let conditions = scene.object["status"]["conditions"].as_array_mut().unwrap();
    let progressing = conditions.iter_mut().find(|found| found["type"] == "Progressing").unwrap();
    progressing["lastUpdateTime"] = json!("2000-01-01T00:00:00Z");
    assert!(matches!(scene.health(), Health::Failed(_)), "by another time stamp, whichever is later");
    scene.object["status"]["observedGeneration"] = json!(1);
    assert!(matches!(scene.health(), Health::Waiting(_)), "not by a status of before");
}

#[test]
fn an_init_container_that_fails_is_a_crash_and_a_sidecar_may_end() {
    let with = |list: &str, spec: Value, state: Value| {
        let mut scene = recorded("deployment-unschedulable").for_seconds(100);
        for pod in scene.around["pods"].as_array_mut().unwrap() {
            pod["spec"]["initContainers"] = json!([spec]);
            pod["status"] = json!({"phase": "Pending"});
            pod["status"][list] = json!([state]);
        }
        in_words(scene.health())
    };
    let ended = |code: i64, restarts: i64| json!({"name": "init", "ready": false, "restartCount": restarts, "state": {"terminated": {"exitCode": code}}});
    let (init, sidecar) = (json!({"name": "init"}), json!({"name": "init", "restartPolicy": "Always"}));
    let waits = "waiting: 0 of 2 new pods are available";
    assert_eq!(with("initContainerStatuses", init.clone(), ended(0, 0)), waits);
    assert_eq!(with("initContainerStatuses", init.clone(), ended(1, 0)), waits);
    let crashed = "release: container 'init' of pod '*' crashed 2 times: exit status 1";
    assert!(is_like(&with("initContainerStatuses", init, ended(1, 1)), crashed));
    assert!(is_like(&with("initContainerStatuses", sidecar, ended(1, 1)), crashed));
}

#[test]
fn without_the_right_to_see_what_is_around_only_the_object_itself_decides() {
    for (name, expected) in [
        ("deployment-ImagePullBackOff", "waiting: 0 of 2 new pods are available"),
        ("deployment-ready", "ready"),
        ("service-without-pods", "ready"),
        ("daemon-set-lost-node", "waiting: 3 of 4 pods are available"),
        (
            "claim-waitforfirstconsumer",
            "ready, but it is not bound, and whether it waits for a pod cannot be read from its class",
        ),
    ] {
        let mut scene = recorded(name);
        scene.blind =
            [Around::Pods, Around::ReplicaSets, Around::Nodes, Around::StorageClasses, Around::Ingresses]
                .into();
        assert_eq!(in_words(scene.health()), expected, "{name}");
    }
}

#[test]
fn a_service_needs_no_pod_while_its_workload_wants_none() {
    let mut scene = recorded("service-without-pods");
    let mut workload = recorded("deployment-of-none").object;
    let namespace = scene.object["metadata"]["namespace"].clone();
    workload["metadata"]["namespace"] = namespace.clone();
    scene.around["workloads"] = json!([workload]);
    assert_eq!(scene.health(), Health::Ready);
    workload["spec"]["replicas"] = json!(1);
    scene.around["workloads"] = json!([workload]);
    assert_eq!(in_words(scene.health()), "waiting: its selector matches no pod");
    let template = workload["spec"]["template"].take();
    let cron = json!({"metadata": {"namespace": namespace}, "spec": {"jobTemplate": {"spec": {"template": template}}}});
    scene.around["workloads"] = json!([cron]);
    assert_eq!(scene.health(), Health::Ready);
}

#[test]
fn a_definition_is_ready_when_discovery_lists_it() {
    let mut scene = recorded("definition-established");
    scene.served = Some(false);
    assert_eq!(in_words(scene.health()), "waiting: discovery does not list version 'v1' yet");
    scene.served = None;
    assert_eq!(scene.health(), Health::Ready);
}

#[test]
fn the_first_cause_of_a_time_out_is_the_worst_of_the_pods() {
    for (name, expected) in [
        ("deployment-deadline", "release: container 'web' of pod '*' runs but does not become ready"),
        ("deployment-unschedulable", "cluster: no node takes pod '*"),
        ("deployment-ErrImagePull", "cluster: container 'web' of pod '*' cannot start: ErrImagePull: *"),
        ("deployment-crashing", "release: container 'web' of pod '*' crashed * times: exit status 1"),
    ] {
        let scene = recorded(name);
        let pods = scene.around["pods"].as_array().unwrap();
        let cause = first_cause(pods, &scene, &Patience::default()).unwrap();
        let words = in_words(Health::Failed(cause));
        assert!(is_like(&words, expected), "{name}: {words}");
    }
    let well = recorded("deployment-ready");
    assert_eq!(first_cause(well.around["pods"].as_array().unwrap(), &well, &Patience::default()), None);
}

#[test]
fn ready_pods_are_counted_where_there_are_pods() {
    for (name, expected) in [
        ("deployment-ready", Some((2, 2))),
        ("deployment-crashing", Some((0, 2))),
        ("deployment-of-none", Some((0, 0))),
        ("stateful-set-ready", Some((2, 2))),
        ("daemon-set-lost-node", Some((3, 4))),
        ("replica-set-ready", Some((2, 2))),
        ("job-complete", Some((1, 1))),
        ("job-running", Some((0, 1))),
        ("pod-ready", Some((1, 1))),
        ("pod-unready", Some((0, 1))),
        ("service-balanced", None),
        ("claim-bound", None),
    ] {
        let scene = recorded(name);
        assert_eq!(ready_of_wanted(&id(&scene.object), &scene.object), expected, "{name}");
    }
}
