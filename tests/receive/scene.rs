//! A server, and a clone that can write by plain git all that git-deploy writes, rightly or wrongly.

use git_deploy_testkit::shop::DEPLOY_TOML;
use git_deploy_testkit::{Output, Repo, Sandbox};

/// The branch that is deployed.
pub(crate) const BRANCH: &str = "refs/heads/login";

/// A bare repository that judges each push, and a clone of it whose master has a `deploy.toml`.
pub(crate) struct Scene {
    pub(crate) server: Repo,
    pub(crate) repo: Repo,
}

impl Scene {
    pub(crate) fn new(sandbox: &Sandbox) -> Self {
        Self::with(sandbox.bare("origin.git"), sandbox.repository("shop"))
    }

    pub(crate) fn with(server: Repo, repo: Repo) -> Self {
        server.deploy("deploy-init", &["--server"]).stdout_contains("pre-receive");
        repo.add_remote("origin", &server);
        repo.commit("deploy.toml", DEPLOY_TOML, "Set up git-deploy");
        repo.git(&["push", "--quiet", "origin", "master"]).is_silent();
        Self { server, repo }
    }

    /// Pushes, whatever comes of it.
    pub(crate) fn push(&self, arguments: &[&str]) -> Output {
        self.repo.command("git").args(["push", "origin"]).args(arguments).output()
    }

    /// Pushes what the server has to take.
    #[track_caller]
    pub(crate) fn takes(&self, arguments: &[&str]) {
        self.push(arguments).success();
    }

    /// Pushes what the server has to refuse in these words, one push with `--atomic` and one without. Nothing moves.
    #[track_caller]
    pub(crate) fn refuses(&self, arguments: &[&str], words: &str) {
        let before = self.server.refs();
        for atomic in ["--atomic", "--no-atomic"] {
            let output = self.push(&[&[atomic], arguments].concat());
            output.code_is(1).stderr_contains("remote: error: cannot take '").stderr_contains(words);
            output.stderr_contains("remote: hint: ").stderr_contains("(pre-receive hook declined)");
        }
        assert_eq!(self.server.refs(), before);
    }

    /// Writes a note here.
    pub(crate) fn note(&self, commit: &str, text: &str) {
        self.repo.git(&["notes", "--ref=deploy", "add", "--force", "--message", text, commit]);
    }

    /// A branch that is pushed, with one commit and a note that approves it.
    pub(crate) fn approved(&self) -> String {
        self.repo.git(&["switch", "--quiet", "-c", "login", "master"]);
        let commit = self.repo.commit("login", "in\n", "Log in");
        self.repo.switch("master");
        self.note(&commit, &format!("state: deployable\nref: {BRANCH}\nrev: 1"));
        self.takes(&["login", "refs/notes/deploy"]);
        commit
    }

    /// A claim that stands on the server.
    pub(crate) fn claimed(&self, id: &str, commit: &str) -> Claim<'_> {
        let claim = Claim::new(self, id, commit);
        self.takes(&[&format!("{}:refs/deploy/attempts/{id}", claim.at("claimed", ""))]);
        claim
    }

    /// A deployment that is verified, and has only to land.
    pub(crate) fn verified(&self, id: &str, commit: &str) -> Claim<'_> {
        let claim = self.claimed(id, commit);
        self.note(commit, &format!("state: deployable\nref: {BRANCH}\nrev: 1\ndeployment: {id}"));
        self.takes(&[&claim.moved("applying"), "refs/notes/deploy"]);
        self.takes(&[&claim.moved("verified")]);
        claim
    }

    /// Makes an annotated tag with exactly this message, and nothing else.
    pub(crate) fn tag(&self, name: &str, commit: &str, message: &str) {
        let arguments =
            ["tag", "--annotate", "--force", "--cleanup=verbatim", "--message", message, name, commit];
        self.repo.git(&arguments);
    }
}

/// What a claim says, to be written at any phase.
pub(crate) struct Claim<'a> {
    scene: &'a Scene,
    pub(crate) id: String,
    pub(crate) commit: String,
    /// The lines that a test may make other ones of.
    pub(crate) text: String,
    parents: Vec<String>,
}

impl<'a> Claim<'a> {
    pub(crate) fn new(scene: &'a Scene, id: &str, commit: &str) -> Self {
        let base = scene.server.id("refs/heads/master");
        let text = format!(
            "environment: demo\nbranch: {BRANCH}\ncandidate: {commit}\napproved: {commit}\nbase: {base}\n\
             started: 2026-11-20T12:00:00Z\nby: Ada <ada@example.org>\nrun: 0f\n"
        );
        let mut parents = vec![commit.to_owned(), base];
        parents.dedup();
        Self { scene, id: id.to_owned(), commit: commit.to_owned(), text, parents }
    }

    /// The claim as a commit, in a phase and with further lines.
    pub(crate) fn at(&self, phase: &str, more: &str) -> String {
        let repo = &self.scene.repo;
        let tree = repo.command("git").arg("mktree").output().line().to_owned();
        let message = format!("{}: {phase}\n\nphase: {phase}\n{}{more}", self.id, self.text);
        let mut command = repo.command("git").args(["commit-tree", &tree, "-F", "-"]);
        for parent in &self.parents {
            command = command.args(["-p", parent]);
        }
        command.stdin(message).output().line().to_owned()
    }

    /// How the claim is pushed on to a phase.
    pub(crate) fn moved(&self, phase: &str) -> String {
        format!("+{}:refs/deploy/attempts/{}", self.at(phase, ""), self.id)
    }

    /// The same with its verdict.
    pub(crate) fn finished(&self, result: &str) -> String {
        format!("+{}:refs/deploy/attempts/{}", self.at("finished", &format!("result: {result}\n")), self.id)
    }

    /// Makes the tag of its verdict.
    pub(crate) fn tagged(&self, result: &str) -> String {
        self.scene.tag(&self.id, &self.commit, &verdict(&self.commit, result));
        format!("refs/tags/{}", self.id)
    }

    /// The note of its success.
    pub(crate) fn note_deployed(&self) {
        let id = &self.id;
        self.scene.note(
            &self.commit,
            &format!(
                "state: deployed\nref: {BRANCH}\nrev: 1\nwas: deployable\ndeployment: {id}\nresult: success"
            ),
        );
    }

    /// How base is pushed to its commit.
    pub(crate) fn base(&self) -> String {
        format!("{}:refs/heads/master", self.commit)
    }
}

/// The message of a tag.
pub(crate) fn verdict(commit: &str, result: &str) -> String {
    let subject = if result == "success" { "Successfully Deployed" } else { "Failed Deployment" };
    format!(
        "{subject}\n\nEnvironment: demo\nCommit: {commit}\nBranch: login\nStarted: 2026-11-20T12:00:00Z\n\
         Finished: 2026-11-20T12:01:00Z\nResult: {result}\n"
    )
}
