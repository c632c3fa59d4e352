//! What becomes of requests that somebody else than a ready API server answers.

use super::stand_in::StandIn;
use super::*;

/// What becomes of a request that is sent while nobody is there, where that is said a moment later, and this another one later.
async fn told(server: &StandIn, patience: u64, first: (u16, u16), then: (u16, u16)) -> ApiErrorKind {
    let connection = server.connection().await;
    server.answers(503);
    let asked = connection.call_within(Duration::from_secs(patience), request(Method::GET, "/x", Vec::new()));
    let changes = async {
        for (status, readiness) in [first, then] {
            tokio::time::sleep(Duration::from_millis(500)).await;
            server.says(status, readiness);
        }
    };
    let (answer, ()) = futures::join!(asked, changes);
    server.answers(200);
    answer.expect_err("it never answers").kind().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_back_and_refuses_somebody_is_believed_when_it_was_ready_before() {
    let server = StandIn::start();
    assert_eq!(told(&server, 20, (403, 500), (403, 200)).await, ApiErrorKind::Forbidden);
    assert_eq!(told(&server, 3, (403, 500), (403, 500)).await, ApiErrorKind::Unreachable, "it was not");
    assert_eq!(told(&server, 20, (403, 500), (404, 200)).await, ApiErrorKind::NotFound);
    let connection = server.connection().await;
    server.says(403, 500);
    let asked = connection.call(request(Method::GET, "/x", Vec::new())).await;
    assert_eq!(*asked.unwrap_err().kind(), ApiErrorKind::Forbidden, "it was there all the time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_never_heard_of_what_is_in_every_cluster_answers_in_its_place() {
    let server = StandIn::start();
    let connection = server.connection().await;
    server.answers(404);
    let kind = async |path| {
        let asked = connection.call_within(Duration::ZERO, request(Method::GET, path, Vec::new())).await;
        asked.unwrap_err().kind().clone()
    };
    let jobs = "/apis/batch/v1/namespaces/shop/jobs/migrate";
    for path in ["/api/v1/namespaces/shop/configmaps", jobs] {
        assert_eq!(kind(path).await, ApiErrorKind::Unreachable, "{path}");
    }
    assert!(!connection.answers().await);
    for path in ["/apis/example.org/v1/namespaces/shop/jobs", "/apis/batch/v1alpha1/jobs"] {
        assert_eq!(kind(path).await, ApiErrorKind::NotFound, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_of_several_servers_cannot_do_is_asked_of_another_one() {
    for status in [403, 404, 503] {
        let server = StandIn::start();
        let connection = server.connection().await;
        let ask = async |patience, path| {
            let asked = connection.call_within(patience, request(Method::GET, path, Vec::new())).await;
            asked.map(drop).map_err(|error| error.code())
        };
        server.next_one_says(status);
        assert_eq!(ask(Duration::ZERO, "/x").await, Err(status), "it is there");
        // Until the connection is kept.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let [_, before] = server.traffic();
        assert_eq!(ask(Duration::from_secs(3), "/x").await, Ok(()), "{status}");
        assert!(server.traffic()[1] >= before + 2, "{status}: the one that is kept was asked first");
        assert!(connection.answers().await, "{status}");
        assert!(!connection.is_starting().await, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_is_asked_over_a_connection_of_its_own_each_time_but_by_who_believes_it() {
    let server = StandIn::start();
    server.keeps_connections();
    let connection = server.connection().await;
    server.says(403, 200);
    let asked = async |connection: &Connection| {
        // Until the connection is kept.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let before = server.traffic();
        let asked = connection.call(request(Method::GET, "/x", Vec::new())).await;
        assert_eq!(*asked.unwrap_err().kind(), ApiErrorKind::Forbidden);
        let after = server.traffic();
        [after[0] - before[0], after[1] - before[1]]
    };
    let [connections, requests] = asked(&connection).await;
    assert_eq!(requests, 5);
    assert!(connections >= 4, "all but the first, which goes over the one that is kept: {connections}");
    assert_eq!(asked(&connection.believing()).await[1], 1);
}
