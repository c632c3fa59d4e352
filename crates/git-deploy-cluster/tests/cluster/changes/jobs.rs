//! One-time jobs: made anew, and let go.

use std::time::Duration;

use git_deploy_cluster::{JobError, let_go, start_job};
use git_deploy_testkit::cluster;
use serde_json::{Value, json};

use super::lab::Lab;

const HELD: &str = "apiVersion: batch/v1
kind: Job
metadata: { name: migrate, finalizers: [example.org/hold] }
spec:
  suspend: true
  template: { spec: { restartPolicy: Never, containers: [{ name: migrate, image: example.org/migrate:1 }] } }
";

fn finalizers(lab: &Lab) -> Value {
    lab.namespace.get("job", "migrate")["metadata"]["finalizers"].clone()
}

fn release(lab: &Lab) {
    let none = r#"{"metadata":{"finalizers":null}}"#;
    lab.namespace.kubectl(&["patch", "job", "migrate", "--type=merge", "-p", none]).success();
}

#[tokio::test]
async fn a_job_that_does_not_go_is_told_as_such() {
    let lab = Lab::new(cluster!(), "held-job").await;
    let job = lab.targets(HELD).await.remove(0);
    start_job(&lab.connection, "ours", &job, None).await.unwrap();
    let again = Some(Duration::from_secs(1));
    let error = start_job(&lab.connection, "ours", &job, again).await.unwrap_err();
    assert_eq!(error.to_string(), format!("one-time {} is still there 1 s after it was deleted", job.id));
    assert_eq!(error.hint("").as_deref(), Some("see which finalizers hold it"));
    assert_eq!(finalizers(&lab), json!(["example.org/hold"]));
    release(&lab);
    start_job(&lab.connection, "ours", &job, again).await.unwrap();
    release(&lab);
}

#[tokio::test]
async fn a_job_of_another_set_is_not_made_anew() {
    let lab = Lab::new(cluster!(), "their-job").await;
    let job = lab.targets(HELD).await.remove(0);
    let theirs = start_job(&lab.connection, "theirs", &job, None).await.unwrap();
    let error = start_job(&lab.connection, "ours", &job, Some(Duration::from_secs(1))).await.unwrap_err();
    assert_eq!(error, JobError::NotOurs { id: job.id.clone() });
    assert_eq!(lab.namespace.get("job", "migrate")["metadata"]["uid"], theirs.uid.as_str());
    release(&lab);
}

#[tokio::test]
async fn a_job_is_let_go_by_whoever_wants_to_and_stays_held_by_others() {
    let lab = Lab::new(cluster!(), "let-go").await;
    let job = lab.targets(HELD).await.remove(0);
    start_job(&lab.connection, "ours", &job, None).await.unwrap();
    assert_eq!(finalizers(&lab), json!(["example.org/hold", "git-deploy/one-time"]));
    let all = (0..5).map(|_| let_go(&lab.connection, &job));
    futures::future::join_all(all).await.into_iter().for_each(|done| done.unwrap());
    assert_eq!(finalizers(&lab), json!(["example.org/hold"]));
    release(&lab);
}
