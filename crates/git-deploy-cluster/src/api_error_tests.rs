use serde_json::json;

use super::*;

/// What API server 1.36 says, and what is made of it.
#[test]
fn the_kind_and_the_blame_are_read_from_what_the_api_server_says() {
    use ApiErrorKind::*;
    use Blame::*;
    for (code, message, kind, blame) in [
        (401, "Unauthorized", Unauthorized, Nobody),
        (
            403,
            r#"deployments.apps "web" is forbidden: User "alice" cannot patch resource "deployments" in API group "apps" in the namespace "shop""#,
            Forbidden,
            Nobody,
        ),
        (
            403,
            r#"configmaps "a" is forbidden: exceeded quota: few, requested: count/configmaps=1, used: count/configmaps=1, limited: count/configmaps=1"#,
            Quota,
            Nobody,
        ),
        (
            403,
            r#"configmaps "a" is forbidden: status unknown for quota: few, resources: count/configmaps"#,
            NotYet,
            Nobody,
        ),
        (
            403,
            r#"configmaps "a" is forbidden: unable to create new content in namespace shop because it is being terminated"#,
            Forbidden,
            Nobody,
        ),
        (
            403,
            r#"pods "one" is forbidden: violates PodSecurity "restricted:latest": host namespaces (hostNetwork=true)"#,
            Denied,
            Branch,
        ),
        (
            403,
            r#"pods "one" is forbidden: maximum cpu usage per Container is 1, but limit is 2"#,
            Denied,
            Branch,
        ),
        (404, r#"namespaces "shop" not found"#, NotFound, Nobody),
        (
            409,
            "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes to the latest version and try again",
            Changed,
            Nobody,
        ),
        (
            422,
            r#"Job.batch "a" is invalid: spec.template: Invalid value: {}: field is immutable"#,
            Immutable,
            Branch,
        ),
        (
            422,
            r#"StatefulSet.apps "a" is invalid: spec: Forbidden: updates to statefulset spec for fields other than 'replicas' are forbidden"#,
            Immutable,
            Branch,
        ),
        (
            422,
            r#"Deployment.apps "web" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0"#,
            Invalid,
            Branch,
        ),
        (
            422,
            r#"configmaps "a" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'p' denied request: no colours here"#,
            Denied,
            Branch,
        ),
        (400, r#"admission webhook "a.example.org" denied the request: no"#, Denied, Branch),
        (400, r#"admission webhook "a.example.org" does not support dry run"#, NoDryRun, Branch),
        (
            500,
            r#"failed to create typed patch object (shop/web; apps/v1, Kind=Deployment): .spec.replicaz: field not declared in schema"#,
            Invalid,
            Branch,
        ),
        (
            500,
            r#"Internal error occurred: failed calling webhook "a.example.org": failed to call webhook: Post "https://127.0.0.1:1/?timeout=10s": dial tcp 127.0.0.1:1: connect: connection refused"#,
            Server,
            Nobody,
        ),
        (500, "etcdserver: request timed out", Server, Nobody),
        (503, "the server is currently unable to handle the request", Server, Nobody),
        (429, "too many requests", TooMany, Nobody),
    ] {
        let body = json!({"kind": "Status", "message": message, "code": code}).to_string();
        let error = ApiError::from_answer(code, body.as_bytes());
        assert_eq!((error.kind(), error.blame()), (&kind, blame), "{message}");
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn a_cluster_is_away_where_only_what_is_before_it_or_behind_it_answers() {
    let status = |message: &str| json!({"kind": "Status", "message": message}).to_string();
    let is_away = |code, body: &str| {
        let error = ApiError::from_answer(code, body.as_bytes());
        (error.is_away(), error.is_passing())
    };
    assert_eq!(is_away(503, "no server is available"), (true, true));
    assert_eq!(is_away(500, "cluster agent disconnected"), (true, true), "as Rancher says it");
    assert_eq!(is_away(522, "<html>"), (true, true));
    assert_eq!(is_away(500, &status("etcdserver: leader changed")), (true, true));
    assert_eq!(is_away(500, &status("etcdserver: request is too large")), (false, false), "it never fits");
    assert_eq!(is_away(503, &status("the server is currently unable to handle the request")), (false, true));
    assert_eq!(is_away(500, &status("conversion webhook failed")), (false, false));
}

#[test]
fn fields_that_others_hold_are_told_by_manager() {
    let cause = |field: &str, manager: &str| json!({"reason": "FieldManagerConflict", "message": format!("conflict with \"{manager}\" using apps/v1"), "field": field});
    let body = json!({
        "kind": "Status",
        "message": "Apply failed with 3 conflicts",
        "details": {"causes": [cause(".spec.b", "kubectl"), cause(".spec.a", "helm"), cause(".spec.c", "kubectl")]},
    });
    let error = ApiError::from_answer(409, body.to_string().as_bytes());
    assert_eq!(error.to_string(), "'helm' holds .spec.a; 'kubectl' holds .spec.b, .spec.c");
    assert_eq!(error.blame(), Blame::Nobody);
}

#[test]
fn an_answer_that_is_none_of_an_api_server_is_one_harmless_line() {
    let of = |body: &str| ApiError::from_answer(502, body.as_bytes()).to_string();
    assert_eq!(of("<html><body>Bad Gateway"), "the answer was HTTP status 502");
    assert_eq!(of(""), "the answer was HTTP status 502");
    assert_eq!(of("upstream\u{1b}[2J gone\nand more"), "the answer was HTTP status 502: upstream [2J gone");
    assert!(ApiError::from_answer(502, b"").is_passing());
}

#[test]
fn an_answer_always_says_something_in_one_line_of_bearable_length() {
    let status = |message: &str| json!({"kind": "Status", "message": message, "reason": "X"}).to_string();
    for (body, expected) in [
        (status(""), "the answer was HTTP status 500"),
        (status(" \n\t"), "the answer was HTTP status 500"),
        (status("one\ntwo\u{1b}[2J"), "one two [2J"),
        ("\n\n".to_owned(), "the answer was HTTP status 500"),
    ] {
        assert_eq!(ApiError::from_answer(500, body.as_bytes()).to_string(), expected);
    }
    assert_eq!(ApiError::new(ApiErrorKind::Unreachable, " \n").to_string(), "no reason given");
    for body in [status(&"so ".repeat(5000)), "so ".repeat(5000)] {
        let said = ApiError::from_answer(500, body.as_bytes()).to_string();
        assert!(said.chars().count() <= 1200 && said.contains(" ... "), "{said}");
    }
}

#[test]
fn no_part_of_a_secrets_value_is_told_where_a_message_is_shortened() {
    let id = ObjectId {
        group: String::new(),
        version: "v1".to_owned(),
        kind: "Secret".to_owned(),
        namespace: Some("shop".to_owned()),
        name: "key".to_owned(),
    };
    let value = "hush-".repeat(300);
    let message = format!("Invalid value: \"{value}\": must be shorter");
    let by_field = json!({
        "kind": "Status", "message": format!("Secret \"key\" is invalid: data[a]: {message}"), "reason": "Invalid",
        "details": {"causes": [{"field": "data[a]", "message": message}]},
    });
    let in_all = json!({"kind": "Status", "message": format!("denied the request: {message}")});
    for status in [by_field, in_all] {
        let error = ApiError::from_answer(422, status.to_string().as_bytes());
        let told = error.about(&id, &json!({"stringData": {"a": value}})).to_string();
        assert!(!told.contains("hush") && told.ends_with("\"***\": must be shorter"), "{told}");
    }
}
