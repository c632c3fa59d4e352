//! Holding an environment's Lease, against a real API server.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::support::{TTL, admin, alive, dead, open, place, run};
use git_deploy_cluster::LeaseError;
use git_deploy_testkit::cluster;
use git_deploy_testkit::cluster::{Namespace, Options};
use git_deploy_testkit::shop::SET;

fn transitions(namespace: &Namespace<'_>) -> i64 {
    namespace.get("lease", SET)["spec"]["leaseTransitions"].as_i64().expect("a number")
}

fn patch(namespace: &Namespace<'_>, patch: &str) {
    namespace.kubectl(&["patch", "lease", SET, "--type=merge", "-p", patch]).success();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_want_a_lease_at_once_one_gets_it() {
    let cluster = cluster!();
    let connection = admin(cluster).await;
    for state in ["no Lease", "a free Lease", "a dead holder's Lease"] {
        let namespace = cluster.namespace("lease").create();
        let place = place(&connection, namespace.name());
        // Dead for those who wait, but not once one of them has it.
        let judge = |lock: &git_deploy_core::attempt::Lock, _: &str| lock.run == "before";
        if state != "no Lease" {
            let before = place.acquire(&run("before"), 0, &alive).await.unwrap();
            match state {
                "a free Lease" => before.release().await.unwrap(),
                _ => drop(before),
            }
        }
        let runs: Vec<_> = (0..12).map(|number| run(&format!("run-{number}"))).collect();
        let all = futures::future::join_all(runs.iter().map(|run| place.acquire(run, 0, &judge))).await;
        let winners: Vec<_> = all.iter().filter_map(|result| result.as_ref().ok()).collect();
        assert_eq!(winners.len(), 1, "{state}");
        let lease = namespace.get("lease", SET);
        assert_eq!(lease["spec"]["holderIdentity"], winners[0].fence().run, "{state}");
        for error in all.iter().filter_map(|result| result.as_ref().err()) {
            let by = format!("{} <", winners[0].fence().run);
            assert!(matches!(error, LeaseError::Held { lock, .. } if lock.by.starts_with(&by)), "{error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_told_that_a_lease_is_held_is_told_by_whom_and_for_what() {
    let cluster = cluster!();
    let namespace = cluster.namespace("lease").create();
    let place = place(&admin(cluster).await, namespace.name());
    let _ada = place.acquire(&run("ada"), 0, &alive).await.unwrap();
    let error = place.acquire(&run("bea"), 0, &alive).await.err().unwrap();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot take Lease '{namespace}/{SET}': ada <ada@example.org> holds it on 'host-of-ada' for deployment-0007"
        )
    );
    assert_eq!(place.holder().await.unwrap(), Some(run("ada")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_released_lease_is_free_and_its_turns_go_on_counting() {
    let cluster = cluster!();
    let namespace = cluster.namespace("lease").create();
    let place = place(&admin(cluster).await, namespace.name());
    for turn in 1..=3 {
        let lease = place.acquire(&run("ada"), 0, &alive).await.unwrap();
        assert_eq!((lease.fence().transitions, transitions(&namespace)), (turn, turn));
        lease.release().await.unwrap();
        assert_eq!(place.holder().await.unwrap(), None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_goes_on_renewing_beyond_the_time_to_live() {
    let cluster = cluster!();
    let namespace = cluster.namespace("lease").create();
    let place = place(&admin(cluster).await, namespace.name());
    let lease = place.acquire(&run("ada"), 0, &alive).await.unwrap();
    let tokens = Mutex::new(std::collections::BTreeSet::new());
    let watched = |_: &git_deploy_core::attempt::Lock, token: &str| {
        tokens.lock().unwrap().insert(token.to_owned());
        false
    };
    let begin = Instant::now();
    while begin.elapsed() < TTL * 3 / 2 {
        assert!(lease.may_write());
        assert!(place.acquire(&run("bea"), 0, &watched).await.is_err());
        tokio::time::sleep(TTL / 12).await;
    }
    // Each renewal is another value for those who watch.
    assert!(tokens.lock().unwrap().len() >= 3, "{tokens:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_is_dropped_is_no_longer_renewed_and_stays_behind() {
    let cluster = cluster!();
    let namespace = cluster.namespace("lease").create();
    let place = place(&admin(cluster).await, namespace.name());
    drop(place.acquire(&run("ada"), 0, &alive).await.unwrap());
    // What was under way may still arrive.
    tokio::time::sleep(TTL / 6).await;
    let before = namespace.get("lease", SET);
    tokio::time::sleep(TTL / 2).await;
    assert_eq!(namespace.get("lease", SET), before);
    assert_eq!(before["spec"]["holderIdentity"], "ada");
    let lease = place.acquire(&run("bea"), 0, &dead).await.unwrap();
    assert_eq!(lease.fence().transitions, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_takes_its_own_lease_again() {
    let cluster = cluster!();
    let namespace = cluster.namespace("lease").create();
    let place = place(&admin(cluster).await, namespace.name());
    // As when the answer to the first request was lost.
    drop(place.acquire(&run("ada"), 0, &alive).await.unwrap());
    let again = place.acquire(&run("ada"), 0, &alive).await.unwrap();
    assert!(again.may_write());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_that_is_cut_off_stops_writing_in_time_and_loses_the_lease_to_who_takes_over() {
    let cluster = cluster!();
    let namespace = cluster.namespace("lease").create();
    let proxy = cluster.proxy();
    let far = open(cluster, &cluster.kubeconfig_through(&proxy)).await;
    let near = place(&admin(cluster).await, namespace.name());
    let began = Instant::now();
    let lease = place(&far, namespace.name()).acquire(&run("ada"), 0, &alive).await.unwrap();
    proxy.stall();

    let ended = lease.writing(std::future::pending::<()>()).await.unwrap_err();
    assert!(matches!(ended, LeaseError::Unconfirmed { .. }), "{ended}");
    // From then on somebody else may take it for free.
    assert!(began.elapsed() < TTL, "{:?}", began.elapsed());
    assert!(!lease.may_write());
    let refused = lease.permit(Duration::from_millis(50)).await.unwrap_err();
    assert!(matches!(refused, LeaseError::Unconfirmed { .. }), "{refused}");

    let bea = near.acquire(&run("bea"), 0, &dead).await.unwrap();
    proxy.resume();
    let lost = lease.watching(std::future::pending::<()>()).await.unwrap_err();
    assert!(matches!(&lost, LeaseError::Lost { why, .. } if why.contains("bea")), "{lost}");
    assert!(matches!(lease.permit(TTL).await, Err(LeaseError::Lost { .. })));
    // Giving back what is not ours any more leaves it to the new holder.
    lease.release().await.unwrap();
    assert_eq!(near.holder().await.unwrap(), Some(run("bea")));
    assert!(bea.may_write());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_that_was_cut_off_goes_on_where_nobody_has_taken_over() {
    let cluster = cluster!();
    let namespace = cluster.namespace("lease").create();
    let proxy = cluster.proxy();
    let far = open(cluster, &cluster.kubeconfig_through(&proxy)).await;
    let lease = place(&far, namespace.name()).acquire(&run("ada"), 0, &alive).await.unwrap();
    proxy.stall();
    let ended = lease.writing(std::future::pending::<()>()).await.unwrap_err();
    assert!(matches!(ended, LeaseError::Unconfirmed { .. }), "{ended}");
    let resume = async {
        tokio::time::sleep(TTL / 4).await;
        proxy.resume();
    };
    // What only watches is not disturbed by that.
    let (permit, (), watched) =
        tokio::join!(lease.permit(TTL * 2), resume, lease.watching(tokio::time::sleep(TTL / 2)));
    permit.unwrap();
    watched.unwrap();
    assert!(lease.may_write());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn times_of_day_decide_nothing() {
    let cluster = cluster!();
    let namespace = cluster.namespace("lease").create();
    let place = place(&admin(cluster).await, namespace.name());
    let lease = place.acquire(&run("ada"), 0, &alive).await.unwrap();
    for time in ["1970-01-01T00:00:00.000000Z", "2999-01-01T00:00:00.000000Z"] {
        patch(&namespace, &format!(r#"{{"spec":{{"renewTime":"{time}","acquireTime":"{time}"}}}}"#));
        // Who holds it goes on, although somebody wrote to it; who wants it waits.
        tokio::time::sleep(TTL / 3).await;
        assert!(lease.permit(TTL).await.is_ok());
        patch(&namespace, &format!(r#"{{"spec":{{"renewTime":"{time}","acquireTime":"{time}"}}}}"#));
        assert!(matches!(place.acquire(&run("bea"), 0, &alive).await, Err(LeaseError::Held { .. })));
    }
    drop(lease);
    patch(&namespace, r#"{"spec":{"renewTime":"2999-01-01T00:00:00.000000Z"}}"#);
    assert!(place.acquire(&run("bea"), 0, &dead).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_somebody_deletes_is_lost_and_its_turns_go_on_counting() {
    let cluster = cluster!();
    let namespace = cluster.namespace("lease").create();
    let place = place(&admin(cluster).await, namespace.name());
    let lease = place.acquire(&run("ada"), 7, &alive).await.unwrap();
    assert_eq!(lease.fence().transitions, 8);
    namespace.kubectl(&["delete", "lease", SET]).success();
    let lost = lease.watching(std::future::pending::<()>()).await.unwrap_err();
    assert_eq!(lost.to_string(), format!("lost Lease '{namespace}/{SET}': it was deleted"));
    let next = place.acquire(&run("bea"), 8, &alive).await.unwrap();
    assert_eq!(next.fence().transitions, 9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_of_somebody_else_is_held_by_whom_it_names() {
    let cluster = cluster!();
    let namespace = cluster.namespace("lease").create();
    let place = place(&admin(cluster).await, namespace.name());
    namespace.apply(&format!(
        "apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {{ name: {SET}, annotations: {{ git-deploy/holder: \"x\\ny\" }} }}\nspec: {{ holderIdentity: \"robot\\u001b[31m\", leaseDurationSeconds: 5 }}\n"
    ));
    let error = place.acquire(&run("ada"), 0, &alive).await.err().unwrap();
    let LeaseError::Held { lock, .. } = &error else { panic!("{error}") };
    assert_eq!((lock.by.as_str(), lock.ttl), ("robot\u{1b}[31m", 5));
    assert!(!error.to_string().contains('\u{1b}'), "{error:?}");
    let lease = place.acquire(&run("ada"), 0, &dead).await.unwrap();
    assert!(lease.may_write());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_server_that_restarts_costs_a_holder_nothing_but_time() {
    let cluster = cluster!(Options::new());
    let namespace = cluster.namespace("lease").create();
    let place = place(&admin(&cluster).await, namespace.name());
    let lease = place.acquire(&run("ada"), 0, &alive).await.unwrap();
    cluster.api_server().kill();
    let ended = lease.writing(std::future::pending::<()>()).await.unwrap_err();
    assert!(matches!(&ended, LeaseError::Unconfirmed { why: Some(_), .. }), "{ended}");
    cluster.api_server().start();
    lease.permit(Duration::from_secs(30)).await.unwrap();
    let error = place.acquire(&run("bea"), 0, &alive).await.err().unwrap();
    assert!(matches!(error, LeaseError::Held { .. }), "{error}");
    lease.release().await.unwrap();
}
