//! A person, who makes branches, approves them, changes their mind, and commits once more.

use std::rc::Rc;
use std::time::Duration;

use git_deploy_core::config::Settings;
use git_deploy_core::git::Repository;
use git_deploy_core::git::push::{Lease, PushRef, Pushed};
use git_deploy_core::git::refs::Expected;
use git_deploy_core::ids::RefName;
use git_deploy_core::machine::Machine;
use git_deploy_core::ops::set_state::{Publication, SetRequest, Wishes, set_state};
use git_deploy_core::ops::sync;
use git_deploy_core::state::State;

use crate::host::Host;
use crate::promises::Kind;
use crate::refs::Move;
use crate::runner::Listener;
use crate::site::FAILS;

struct Branch {
    name: String,
    kind: Kind,
    version: u32,
}

/// Makes so many branches, one after the other, and does this and that with them meanwhile.
pub(crate) fn live(host: &Rc<Host>, branches: u64) {
    let mut made: Vec<Branch> = Vec::new();
    for number in 0..branches {
        let kind = match host.world.pick(0..4) {
            0 => Kind::Fails,
            1 => Kind::Conflicts,
            _ => Kind::Good,
        };
        let name = match kind {
            Kind::Good => format!("good-{number}"),
            Kind::Fails => format!("{FAILS}-{number}"),
            Kind::Conflicts => format!("conflicts-{number}"),
        };
        let mut branch = Branch { name, kind, version: 0 };
        commit(host, &mut branch);
        approve(host, &branch);
        made.push(branch);
        rest(host, 60);
        let some = usize::try_from(host.world.pick(0..made.len() as u64)).unwrap_or_default();
        let branch = &mut made[some];
        if host.world.promises(|promises, _| promises.has_landed(&branch.name)) {
            continue;
        }
        match host.world.pick(0..6) {
            0 => withdraw(host, branch),
            1 => {
                // With a new commit it leaves the queue until that is approved, or a deployment was faster.
                host.world.promises(|promises, _| promises.is_unsure(&branch.name));
                commit(host, branch);
                rest(host, 100);
                approve(host, branch);
            }
            _ => {}
        }
    }
}

/// Does nothing for up to so many seconds.
fn rest(host: &Rc<Host>, most: u64) {
    host.sleep(Duration::from_millis(host.world.pick(100..most * 1000)));
}

fn name_of(branch: &Branch) -> RefName {
    RefName::branch(&branch.name).unwrap_or_else(|error| unreachable!("'{}': {error}", branch.name))
}

/// Commits upon the branch as the remote has it, or upon base, and pushes that.
fn commit(host: &Rc<Host>, branch: &mut Branch) {
    branch.version += 1;
    let name = name_of(branch);
    loop {
        let repository = Repository::open_at(&host.clone).unwrap_or_else(|error| panic!("{error}"));
        let settings = Settings::read(&repository).unwrap_or_else(|error| panic!("{error}"));
        let Some(tracking) = settings.remote else { unreachable!("there is a remote") };
        if let Ok(()) = sync::fetch(&repository, &tracking, &Listener(host)) {
            let tip = |name: &str| host.resolve(&format!("refs/remotes/origin/{name}"));
            // What has landed is no branch any more that somebody would go on with.
            let before = tip(&branch.name);
            let Some(parent) = before.or_else(|| tip("master")) else { unreachable!("there is base") };
            let new = write(host, branch, parent).unwrap_or_else(|error| panic!("{error}"));
            host.world.tell(host.me, &format!("commits version {} of '{}'", branch.version, branch.name));
            let id = |id: git2::Oid| id.to_string().parse().unwrap_or_else(|_| unreachable!("an id is one"));
            let lease = Lease::From(Expected::seen(before.map(id)));
            let push = PushRef { name: name.clone(), new: Some(id(new)), lease };
            if matches!(repository.push(&tracking, &[push]), Ok(Pushed::Done)) {
                host.apply(&Move { name: name.to_string(), old: before, new: Some(new) });
                return;
            }
        }
        rest(host, 20);
    }
}

fn write(host: &Host, branch: &Branch, parent: git2::Oid) -> Result<git2::Oid, git2::Error> {
    let repository = &host.repository;
    let parent = repository.find_commit(parent)?;
    let tree = parent.tree()?;
    let folder = tree.get_name("deploy").map(|entry| repository.find_tree(entry.id())).transpose()?;
    let mut folder = repository.treebuilder(folder.as_ref())?;
    let text = format!("version: {}\n", branch.version);
    folder.insert(format!("{}.yaml", branch.name), repository.blob(text.as_bytes())?, 0o100_644)?;
    let mut root = repository.treebuilder(Some(&tree))?;
    root.insert("deploy", folder.write()?, 0o040_000)?;
    if branch.kind == Kind::Conflicts {
        root.insert("shared", repository.blob(branch.name.as_bytes())?, 0o100_644)?;
    }
    let tree = repository.find_tree(root.write()?)?;
    let time = git2::Time::new(host.now().as_second(), 0);
    let who = git2::Signature::new("Ada", "ada@example.org", &time)?;
    repository.commit(None, &who, &who, &format!("{} {}\n", branch.name, branch.version), &tree, &[&parent])
}

/// Sets a state and makes sure that all can see it. Whether it was set before a deployment was on its way with the branch; none
/// if it was refused.
fn set(host: &Rc<Host>, branch: &Branch, state: State) -> Option<bool> {
    let repository = Repository::open_at(&host.clone).unwrap_or_else(|error| panic!("{error}"));
    let wishes = Wishes::default();
    let request = SetRequest { state, branches: vec![name_of(branch)], message: None, wishes, stays: false };
    for _ in 0..50 {
        match set_state(&repository, &request, &Listener(host)) {
            Err(error) => {
                host.world.tell(host.me, &format!("cannot set '{}' to {state}: {error}", branch.name));
                return None;
            }
            Ok(outcome) => {
                // Of what was so already nobody is told again that it came too late.
                let is_early = outcome.on_its_way.is_empty() && !outcome.changes.is_empty();
                if matches!(outcome.publication, Publication::Done | Publication::NotNeeded) {
                    host.world.tell(host.me, &format!("sets '{}' to {state}", branch.name));
                    return Some(is_early);
                }
                host.world.tell(host.me, &format!("{:?}", outcome.publication));
            }
        }
        rest(host, 20);
    }
    None
}

fn approve(host: &Rc<Host>, branch: &Branch) {
    let Branch { name, kind, version } = branch;
    host.world.promises(|promises, now| promises.approves(name, *kind, *version, now));
    if set(host, branch, State::Deployable).is_some() {
        host.world.promises(|promises, now| promises.is_queued(name, now));
    }
}

fn withdraw(host: &Rc<Host>, branch: &Branch) {
    // It may land or not, from the moment that the first may see it.
    host.world.promises(|promises, _| promises.is_unsure(&branch.name));
    if set(host, branch, State::Development) == Some(true) {
        host.world.promises(|promises, _| promises.is_withdrawn(&branch.name));
    }
}
