//! What is deployed to: a branch of rendered manifests, which takes its time, fails with what fails, and is away now and then.

use std::rc::Rc;
use std::time::Duration;

use git_deploy_core::config::deploy_toml::{DeployToml, Environment, Target};
use git_deploy_core::deployment::{Close, Failure, Step};
use git_deploy_core::environment::rendered::RenderedBranch;
use git_deploy_core::environment::{
    Answers, Custody, Describe, Driver, NotTaken, ObjectName, OfBase, Plan, Previous, Pulse, Rendered,
    RenderedObject, Renderer, Restored, Standing, Status, Work,
};
use git_deploy_core::git::Repository;
use git_deploy_core::git::object::Kind;
use git_deploy_core::ids::{CommitId, DeploymentId, RefName};
use git_deploy_core::land::Change;
use git_deploy_core::ledger::Outcome;
use git_deploy_core::machine::Machine;
use git_deploy_core::ops::deploy::{Errand, Site};
use git_deploy_core::ops::view::View;

use crate::host::Host;
use crate::world::Place as Where;

/// What the name of a file says that never becomes ready.
pub(crate) const FAILS: &str = "fails";

pub(crate) struct Place {
    pub(crate) host: Rc<Host>,
}

impl Site for Place {
    fn driver<'a>(
        &'a self,
        view: &'a View<'_>,
        _: &'a DeployToml,
        environment: &Environment,
        _: Errand,
    ) -> Result<Box<dyn Driver + 'a>, Failure> {
        let Target::Rendered { branch, .. } = &environment.target else {
            unreachable!("there is no cluster")
        };
        let branch =
            RefName::branch(branch).map_err(|error| Failure::of_nobody(Step::Plan, error.to_string()))?;
        let name = environment.name.clone();
        let branch = RenderedBranch::new(view.repository, &view.settings, name, branch, &Plain);
        Ok(Box::new(Slow { host: Rc::clone(&self.host), branch }))
    }

    fn renderer<'a>(
        &'a self,
        view: &'a View<'_>,
        _: &'a DeployToml,
        _: &'a Environment,
    ) -> Result<Box<dyn Renderer + 'a>, Failure> {
        Ok(Box::new(Files(view.repository)))
    }
}

struct Plain;

impl Describe for Plain {
    fn name(&self, path: &str, _: &[u8]) -> ObjectName {
        ObjectName::of_file(path)
    }

    fn diff(&self, _: &str, _: Option<&[u8]>, _: Option<&[u8]>) -> Option<String> {
        None
    }
}

/// Each file below `deploy` is an object.
struct Files<'a>(&'a Repository);

impl Renderer for Files<'_> {
    fn render(&self, commit: CommitId) -> Result<Rendered, Failure> {
        let failed = |error| Failure::of_nobody(Step::Render, format!("{error}"));
        let tree = self.0.commit(commit).map_err(failed)?.tree;
        let mut rendered = Rendered::default();
        let Some(folder) = self.0.entry(tree, "deploy").map_err(failed)? else { return Ok(rendered) };
        for entry in self.0.tree(folder.id).map_err(failed)? {
            let path = String::from_utf8_lossy(&entry.name).into_owned();
            let bytes = self.0.read(entry.id, Kind::Blob).map_err(failed)?;
            rendered.objects.push(RenderedObject { title: path.clone(), path, bytes, secret: false });
        }
        Ok(rendered)
    }
}

struct Slow<'a> {
    host: Rc<Host>,
    branch: RenderedBranch<'a>,
}

impl Slow<'_> {
    /// It is about to be changed.
    fn works(&self, id: &DeploymentId) {
        let (world, me) = (&self.host.world, self.host.me);
        let still = world.those_who_stood_still();
        let has_verdict = world.refs(Where::Remote, |refs| refs.resolve(id.tag().as_str())).is_some();
        world.promises(|promises, _| {
            if has_verdict && !still.get(me).copied().unwrap_or_default() {
                promises.breaks(format!("{id} changes the environment after its verdict"));
            }
            promises.works(me, &id.to_string(), |who| still.get(who).copied().unwrap_or_default());
        });
    }

    /// Takes a while.
    fn takes(&self, step: Step, pulse: &dyn Pulse) -> Result<(), Failure> {
        for _ in 0..self.host.world.pick(1..40) {
            self.host.sleep(Duration::from_secs(1));
            if !pulse.beat() {
                return Err(Failure::of_nobody(step, "stopped"));
            }
        }
        match self.host.world.happens(|faults| faults.outage) {
            true => Err(Failure::of_nobody(step, "the environment does not answer").undecided()),
            false => Ok(()),
        }
    }
}

impl Driver for Slow<'_> {
    fn check(&self, standing: &Standing, custody: &dyn Custody) -> Result<(), NotTaken> {
        self.branch.check(standing, custody)
    }

    fn begin(
        &self,
        work: Work<'_>,
        standing: &Standing,
        custody: &dyn Custody,
    ) -> Result<Option<String>, NotTaken> {
        self.branch.begin(work, standing, custody)
    }

    fn verdict_before(&self, id: &DeploymentId) -> Result<Option<Close>, Failure> {
        self.branch.verdict_before(id)
    }

    fn plan(&self, rendered: &Rendered, base: &OfBase<'_>, pulse: &dyn Pulse) -> Result<Plan, Failure> {
        self.branch.plan(rendered, base, pulse)
    }

    fn status(&self, standing: &Standing, kept: &Rendered, pulse: &dyn Pulse) -> Result<Status, Failure> {
        self.branch.status(standing, kept, pulse)
    }

    fn keep(&self, work: Work<'_>, rendered: &Rendered) -> Result<CommitId, Failure> {
        self.branch.keep(work, rendered)
    }

    fn kept_changes(&self, id: &DeploymentId, kept: CommitId) -> Result<Vec<Change>, Failure> {
        self.branch.kept_changes(id, kept)
    }

    fn apply(&self, work: Work<'_>, rendered: &Rendered) -> Result<(), Failure> {
        self.works(work.id);
        self.takes(Step::Apply, work.pulse)?;
        self.branch.apply(work, rendered)
    }

    fn verify(&self, work: Work<'_>, kept: CommitId, renderer: &dyn Renderer) -> Result<(), Failure> {
        self.takes(Step::Verify, work.pulse)?;
        let rendered = renderer.render(work.candidate.commit())?;
        if rendered.objects.iter().any(|object| object.path.contains(FAILS)) {
            return Err(Failure::of_branch(Step::Verify, "it never becomes ready"));
        }
        self.branch.verify(work, kept, renderer)
    }

    fn outlast(&self, pulse: &dyn Pulse) -> Result<Answers, Failure> {
        let world = &self.host.world;
        // Whoever waits changes nothing.
        world.promises(|promises, _| promises.rests(self.host.me));
        let (answers, seconds) = match world.pick(0..3) {
            0 => (Answers::AtOnce, 0),
            1 => (Answers::Again, world.pick(1..600)),
            _ => (Answers::Not, world.pick(1..600)),
        };
        world.tell(self.host.me, &format!("waits for what does not answer for {seconds} s: {answers:?}"));
        for _ in 0..seconds {
            self.host.sleep(Duration::from_secs(1));
            if !pulse.beat() {
                return Err(Failure::of_nobody(Step::Plan, "stopped"));
            }
        }
        Ok(answers)
    }

    fn restore(
        &self,
        work: Work<'_>,
        previous: Option<&Previous>,
        failed: Option<CommitId>,
        close: &Close,
    ) -> Result<Restored, Failure> {
        self.works(work.id);
        self.takes(Step::Apply, work.pulse)?;
        self.branch.restore(work, previous, failed, close)
    }

    fn landing_changes(&self, kept: CommitId) -> Result<Vec<Change>, Failure> {
        self.branch.landing_changes(kept)
    }

    fn end(&self, work: Work<'_>, outcome: Outcome) {
        self.let_go();
        self.branch.end(work, outcome);
    }

    fn let_go(&self) {
        self.host.world.promises(|promises, _| promises.rests(self.host.me));
    }
}
