//! Jobs that run once: what makes one of them another one, and how it is called then.
//!
//! A [Job][1] with the annotation `git-deploy/one-time: "true"`, a migration, runs again only when its identity changes: the
//! content of the paths that it names in `git-deploy/once-paths`, else all that it says itself. The identity ends its
//! name.
//!
//! [1]: https://kubernetes.io/docs/concepts/workloads/controllers/job/

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::applyset::hex;
use crate::stage::ONE_TIME;
use crate::value::annotation;
use crate::{Object, ObjectId, write};

/// The annotation with the paths of the commit's tree that a one-time job depends on: separated by commas or line ends.
pub const ONCE_PATHS: &str = "git-deploy/once-paths";

/// The annotation that says `safe` where what stood there before fits what the job leaves behind.
pub const ROLLBACK: &str = "git-deploy/rollback";

/// How much of the identity stands in the name.
const IDENTITY: usize = 10;

/// The longest name of a Job: it becomes a label of its pods.
const LONGEST_NAME: usize = 63;

/// Whether an object is a job that runs once.
pub fn is_one_time(id: &ObjectId, object: &Value) -> bool {
    id.is_job() && annotation(object, ONE_TIME) == Some("true")
}

/// The paths that a one-time job depends on, if it names any.
pub fn once_paths(object: &Object) -> Vec<&str> {
    let paths = annotation(object.value(), ONCE_PATHS).unwrap_or_default();
    paths.split([',', '\n']).map(str::trim).filter(|path| !path.is_empty()).collect()
}

/// Whether going back is safe after this job, as it says itself.
pub fn is_rollback_safe(job: &Value) -> bool {
    annotation(job, ROLLBACK) == Some("safe")
}

/// Ends the name of a one-time job in its identity: the digest of `depends_on`, else of all that the job says.
pub fn name_by_identity(object: &mut Object, depends_on: Option<&[u8]>) {
    let digest = match depends_on {
        Some(bytes) => Sha256::digest(bytes),
        None => Sha256::digest(write(object)),
    };
    let identity = hex(&digest);
    let name = &object.id().name;
    let room = LONGEST_NAME - IDENTITY - 1;
    let stem: String = name.chars().take(room).collect();
    let name = format!("{}-{}", stem.trim_end_matches(['-', '.']), &identity[..IDENTITY]);
    object.rename(name);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SourceFile, read};

    fn job(name: &str, image: &str) -> Object {
        let text = format!(
            "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: {name}\n  annotations:\n    {ONE_TIME}: \"true\"\n    \
             {ONCE_PATHS}: db/migrations, db/schema.sql\nspec:\n  template:\n    spec:\n      containers:\n      - name: a\n        \
             image: {image}\n"
        );
        let file = SourceFile { path: "job.yaml".to_owned(), bytes: text.into_bytes() };
        read(&[file]).unwrap().remove(0)
    }

    fn name(mut object: Object, depends_on: Option<&[u8]>) -> String {
        name_by_identity(&mut object, depends_on);
        assert_eq!(object.value()["metadata"]["name"], object.id().name);
        object.id().name.clone()
    }

    #[test]
    fn a_job_is_another_one_when_what_it_depends_on_changes() {
        let (one, two) = (job("migrate", "a/b:1"), job("migrate", "a/b:2"));
        assert_eq!(once_paths(&one), ["db/migrations", "db/schema.sql"]);
        assert_eq!(name(one.clone(), Some(b"x")), name(two.clone(), Some(b"x")));
        assert_ne!(name(one.clone(), Some(b"x")), name(one.clone(), Some(b"y")));
        assert_ne!(name(one, None), name(two, None));
    }

    #[test]
    fn a_long_name_stays_a_label() {
        let long = name(job(&"m".repeat(63), "a"), None);
        assert_eq!(long.len(), 63);
        assert_ne!(long, name(job(&"m".repeat(63), "b"), None));
        assert!(name(job("migrate", "a"), None).starts_with("migrate-"));
    }

    #[test]
    fn only_jobs_that_say_so_run_once() {
        let one = job("migrate", "a");
        assert!(is_one_time(one.id(), one.value()));
        let mut other = job("migrate", "a");
        other.value_mut()["metadata"]["annotations"][ONE_TIME] = "false".into();
        assert!(!is_one_time(other.id(), other.value()));
    }
}
