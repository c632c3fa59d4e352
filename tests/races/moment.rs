//! A moment at which somebody else does something, once.

use std::path::PathBuf;

use git_deploy_testkit::Repo;
use git_deploy_testkit::shop::Shop;

/// What is done at a moment, and the traces that it leaves.
#[derive(Debug)]
#[must_use = "a moment that does not come shows nothing"]
pub(crate) struct Moment {
    came: PathBuf,
    log: PathBuf,
}

impl Moment {
    /// When a push that touches a ref of this pattern has reached the remote and nothing of it has been taken.
    pub(crate) fn before_push(shop: &Shop, pattern: &str, deed: &str) -> Self {
        Self::install(shop.authority(), "pre-receive", pattern, "true", deed)
    }

    /// When the claim of a deployment has reached the remote and has not been taken.
    pub(crate) fn before_claim(shop: &Shop, deed: &str) -> Self {
        Self::before_push(shop, "refs/deploy/attempts/*", deed)
    }

    /// When the remote has been told that a deployment is in that phase.
    pub(crate) fn after_phase(shop: &Shop, phase: &str, deed: &str) -> Self {
        let is_phase = format!("git cat-file -p \"$new\" | grep -q '^phase: {phase}'");
        Self::install(shop.authority(), "post-receive", "refs/deploy/attempts/*", &is_phase, deed)
    }

    /// When a ref of this pattern is locked in that repository and has not moved.
    pub(crate) fn prepared(repo: &Repo, pattern: &str, deed: &str) -> Self {
        Self::install(repo, "reference-transaction", pattern, "[ \"$phase\" = prepared ]", deed)
    }

    /// When a ref of this pattern has moved in that repository.
    pub(crate) fn committed(repo: &Repo, pattern: &str, deed: &str) -> Self {
        Self::committed_while(repo, pattern, "true", deed)
    }

    /// When a ref of this pattern has moved in that repository, and something else holds.
    pub(crate) fn committed_while(repo: &Repo, pattern: &str, condition: &str, deed: &str) -> Self {
        let condition = format!("[ \"$phase\" = committed ] && {condition}");
        Self::install(repo, "reference-transaction", pattern, &condition, deed)
    }

    fn install(repo: &Repo, hook: &str, pattern: &str, condition: &str, deed: &str) -> Self {
        let base = repo.path().with_extension(format!("moment-{hook}"));
        let moment = Self { came: base.with_extension("came"), log: base.with_extension("log") };
        repo.install_hook(
            hook,
            &format!(
                "phase=$1 is_now=\n\
                 [ -e '{came}' ] && exit 0\n\
                 while read -r old new ref; do\n  \
                     case \"$ref\" in {pattern}) {condition} && is_now=yes ;; esac\n\
                 done\n\
                 [ -n \"$is_now\" ] || exit 0\n\
                 : >'{came}'\n\
                 unset $(git rev-parse --local-env-vars) GIT_QUARANTINE_PATH\n\
                 {{ {deed}\n}} >'{log}' 2>&1 </dev/null\n\
                 exit 0",
                came = moment.came.display(),
                log = moment.log.display(),
            ),
        );
        moment
    }

    /// It came, and what was done then said this.
    #[track_caller]
    pub(crate) fn has_come(&self) -> String {
        assert!(self.came.exists(), "the moment did not come");
        std::fs::read_to_string(&self.log).expect("what was done has a log")
    }
}

impl Drop for Moment {
    #[expect(clippy::print_stderr, reason = "a test that fails shows what was done")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(&self.log);
            eprintln!("--- at that moment: {}", log.unwrap_or_else(|_| "nothing".to_owned()));
        }
    }
}

/// What somebody does in a repository, for [`Moment`].
pub(crate) fn inside(repo: &Repo, deed: &str) -> String {
    format!("(cd '{}' && {deed})", repo.path().display())
}

/// The clone of somebody else, who knows all branches and states as they are now.
pub(crate) fn colleague(shop: &Shop) -> Repo {
    let other = shop.authority().clone_to("other");
    other.deploy("deploy-sync", &[]);
    other
}

/// Nothing was landed since base stood there, and no branch of it is on its way.
#[track_caller]
pub(crate) fn nothing_landed(shop: &Shop, base: &str) {
    assert_eq!(shop.authority().id("master"), base, "base has moved");
    for tag in shop.authority().git(&["tag", "--list", "deployment-*"]).lines() {
        assert!(!shop.tag(tag).starts_with("Successfully Deployed"), "{tag}: {}", shop.tag(tag));
    }
    shop.is_sound();
}

/// The branch was landed once, and everything is as it must be after that.
#[track_caller]
pub(crate) fn landed_once(shop: &Shop, branch: &str) {
    let place = shop.authority();
    let contains = place.try_git(&["merge-base", "--is-ancestor", branch, "master"]);
    assert_eq!(contains.code, Some(0), "'{branch}' is not on base");
    let tags = place.git(&["tag", "--list", "deployment-*"]);
    let verdicts: Vec<String> = tags.lines().iter().map(|tag| shop.tag(tag)).collect();
    let branch_line = format!("Branch: {branch}\n");
    let told = |tag: &&String| tag.starts_with("Successfully Deployed") && tag.contains(&branch_line);
    assert_eq!(verdicts.iter().filter(told).count(), 1, "{verdicts:#?}");
    assert_eq!(shop.state(branch), "deployed");
    shop.is_sound();
}
