//! Where a repository may lie, how it may have come there, and by which words git is told of it.

use git_deploy_testkit::{Format, Output, Repo, Sandbox, left_out, sandbox};

use crate::{branch, set, shop, state_is};

/// A shop with a branch `login` that is staged.
fn staged(sandbox: &Sandbox) -> Repo {
    let repo = shop(sandbox);
    branch(&repo, "login", "b.txt", "b\n");
    set(&repo, &["staged", "login"]).success();
    repo
}

/// The same on a remote that gives parts of itself.
fn shared(sandbox: &Sandbox) -> Repo {
    let (repo, remote) = (shop(sandbox), sandbox.bare("remote.git"));
    remote.set_config("uploadpack.allowFilter", "true");
    remote.set_config("uploadpack.allowAnySHA1InWant", "true");
    branch(&repo, "login", "b.txt", "b\n");
    repo.commit("a.txt", "two\n", "Go on");
    repo.add_remote("origin", &remote);
    repo.git(&["push", "--quiet", "origin", "master", "login"]);
    repo.deploy("deploy-state", &["set", "staged", "login"]);
    remote
}

fn url(repo: &Repo) -> String {
    format!("file://{}", repo.path().display())
}

#[test]
fn a_repository_whose_objects_lie_elsewhere_works() {
    let sandbox = sandbox!();
    let repo = staged(&sandbox);
    sandbox.run("git", &["clone", "--quiet", "--shared", "shop", "borrowed"]);
    let borrowed = sandbox.open("borrowed");
    borrowed.git(&["fetch", "--quiet", "origin", "refs/notes/*:refs/notes/*"]);
    state_is(&borrowed, "login", "staged");
    borrowed.git(&["switch", "--quiet", "login"]);
    borrowed.set_config("deploy.publish", "false");
    set(&borrowed, &["deployable"]).success();
    state_is(&borrowed, "login", "deployable");
    borrowed.git(&["repack", "-a", "-d", "-l", "--quiet"]);
    state_is(&borrowed, "login", "deployable");
    state_is(&repo, "login", "staged");
    borrowed.fsck();
}

#[test]
fn packed_refs_and_objects_are_read_and_moved() {
    let repo = staged(&sandbox!());
    for state in ["deployable", "development", "staged"] {
        repo.git(&["gc", "--quiet", "--prune=now"]);
        repo.git(&["pack-refs", "--all", "--prune"]);
        set(&repo, &[state, "login"]).success();
        state_is(&repo, "login", state);
    }
    repo.git(&["pack-refs", "--all", "--prune"]);
    repo.commit("c.txt", "c\n", "Go on");
    repo.deploy("deploy-rebase", &[]);
    state_is(&repo, "login", "staged");
    repo.fsck();
}

#[test]
fn names_that_git_allows_and_people_do_not_expect_are_only_names() {
    let sandbox = sandbox!();
    let repo = shop(&sandbox);
    let tip = branch(&repo, "login", "b.txt", "b\n");
    // Git makes none that begins with a hyphen, but takes one from elsewhere.
    repo.git(&["update-ref", "refs/heads/-x", &tip]);
    repo.deploy("deploy-state", &["list"]);
    repo.deploy("deploy-rebase", &[]);
    repo.git(&["update-ref", "-d", "refs/heads/-x"]);
    let long = format!("{}/{}", "l".repeat(200), "ö".repeat(100));
    let mut names =
        vec![long.as_str(), "refs/heads/x", "HEAD/x", "a@b", "a{b}", "dots.in.it", "%s%n", "\u{1f600}"];
    // Where refs are files this is the file system's to say.
    let probe = sandbox.root().join("Probe");
    std::fs::write(&probe, "").expect("the sandbox can be written to");
    if Format::of_run().reftable || !sandbox.root().join("probe").exists() {
        names.extend(["Case", "case"]);
    }
    for (index, name) in names.iter().enumerate() {
        repo.git(&["switch", "--quiet", "--detach", "master"]);
        let commit = repo.commit(&format!("{index}.txt"), "x\n", "Change something");
        repo.git(&["update-ref", &format!("refs/heads/{name}"), &commit]);
        let full = format!("refs/heads/{name}");
        set(&repo, &["staged", &full]).success();
        repo.deploy("deploy-state", &["get", &full]).stdout_is("staged\n");
    }
    repo.switch("master");
    repo.commit("c.txt", "c\n", "Go on");
    repo.deploy("deploy-rebase", &[]);
    let list = repo.deploy("deploy-state", &["list", "--porcelain", "-z", "--state=staged"]);
    for name in &names {
        assert!(list.stdout.contains(&format!(" refs/heads/{name}\0")), "{name}\n{list}");
    }
    assert_eq!(list.stdout.split_terminator('\0').count(), names.len(), "{list}");
    repo.fsck();
}

#[test]
fn a_repository_of_somebody_else_is_refused_in_gits_words() {
    let sandbox = sandbox!();
    let repo = staged(&sandbox);
    if sandbox.run("id", &["-u"]).line() != "0" {
        left_out!("only root can give files to somebody else");
    }
    sandbox.run("chown", &["-R", "65534", "shop"]);
    for command in [&["get", "login"][..], &["set", "deployable", "login"], &["list"]] {
        repo.try_deploy("deploy-state", command)
            .code_is(128)
            .stderr_contains("dubious ownership in repository")
            .stderr_contains("safe.directory");
    }
    sandbox.set_global_config("safe.directory", "*");
    state_is(&repo, "login", "staged");
    set(&repo, &["deployable", "login"]).success();
}

#[test]
fn a_bare_repository_that_nobody_has_named_is_refused_where_git_refuses_it() {
    let sandbox = sandbox!();
    let remote = shared(&sandbox);
    state_is(&remote, "login", "staged");
    sandbox.set_global_config("safe.bareRepository", "explicit");
    for command in [&["get", "login"][..], &["set", "deployable", "login"], &["list"]] {
        remote
            .try_deploy("deploy-state", command)
            .code_is(128)
            .stderr_contains("cannot use bare repository")
            .stderr_contains("safe.bareRepository");
        let named = sandbox.command("git").args(["--git-dir=remote.git", "deploy-state"]).args(command);
        named.output().success();
    }
    let allowed =
        remote.command("git").args(["-c", "safe.bareRepository=all", "deploy-state", "get", "login"]);
    allowed.output().success().stdout_is("deployable\n");
    // What the repository says of itself counts for nothing.
    sandbox.run("git", &["--git-dir=remote.git", "config", "safe.bareRepository", "all"]);
    remote.try_deploy("deploy-state", &["get", "login"]).code_is(128);
}

#[test]
fn git_is_told_of_a_repository_in_many_ways() {
    let sandbox = sandbox!();
    let repo = staged(&sandbox);
    repo.git(&["worktree", "add", "--quiet", "../tree", "login"]);
    let root = sandbox.root().display().to_string();
    let git_dir = format!("{root}/shop/.git");
    let say = |directory: &str, words: &[&str], variables: &[(&str, &str)]| -> Output {
        let words = words.iter().chain(&["deploy-state", "get", "login"]);
        let run = sandbox.command("git").in_directory(directory).args(words);
        variables.iter().fold(run, |run, (name, value)| run.env(name, value)).output()
    };
    let work_tree = format!("--work-tree={root}/shop");
    type Variables<'a> = &'a [(&'a str, &'a str)];
    let told: [(&str, &[&str], Variables<'_>); 11] = [
        ("shop/.git", &[], &[]),
        ("shop/.git/objects", &[], &[]),
        ("home", &["-C", "../shop"], &[]),
        ("home", &["--no-pager", "--git-dir=../shop/.git"], &[]),
        ("shop", &["--git-dir=.git", &work_tree], &[]),
        ("shop", &["--namespace=x"], &[]),
        ("shop", &["--literal-pathspecs", "--no-replace-objects"], &[]),
        ("home", &[], &[("GIT_DIR", &git_dir), ("GIT_WORK_TREE", &root)]),
        ("home", &[], &[("GIT_DIR", &format!("{git_dir}/worktrees/tree")), ("GIT_COMMON_DIR", &git_dir)]),
        ("tree", &["-c", "deploy.publish=false"], &[("GIT_OPTIONAL_LOCKS", "0")]),
        (
            "tree",
            &[],
            &[
                ("GIT_CONFIG_COUNT", "1"),
                ("GIT_CONFIG_KEY_0", "deploy.base"),
                ("GIT_CONFIG_VALUE_0", "master"),
            ],
        ),
    ];
    for (directory, words, variables) in told {
        let said = say(directory, words, variables);
        assert_eq!(
            (said.code, said.stdout.as_str()),
            (Some(0), "staged\n"),
            "{words:?} {variables:?} {said}"
        );
    }
    // Nobody looks further up than that.
    repo.write("deep/er/x", "");
    let ceiling = format!("{root}/shop/deep");
    say("shop/deep/er", &[], &[("GIT_CEILING_DIRECTORIES", &ceiling)])
        .code_is(128)
        .stderr_contains("not a git repository");
    say("home", &[], &[("GIT_DIR", "nowhere")]).code_is(128).stderr_contains("fatal: ");
}

#[test]
fn configuration_counts_wherever_git_takes_it_from() {
    let sandbox = sandbox!();
    let repo = staged(&sandbox);
    let counted =
        [("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", "deploy.base"), ("GIT_CONFIG_VALUE_0", "login")];
    sandbox
        .home()
        .join("more")
        .to_str()
        .map(|path| sandbox.run("git", &["config", "--file", path, "deploy.base", "login"]));
    type Said<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)]);
    let ways: [Said<'_>; 6] = [
        (&["-c", "deploy.base=login"], &[]),
        (&["--config-env=deploy.base=BASE"], &[("BASE", "login")]),
        (&[], &counted),
        (&[], &[("GIT_CONFIG_PARAMETERS", "'deploy.base'='login'")]),
        (&["-c", "include.path=~/more"], &[]),
        (&[], &[("GIT_CONFIG_GLOBAL", &sandbox.home().join("more").display().to_string())]),
    ];
    for (words, variables) in ways {
        let run = repo.command("git").args(words).args(["deploy-state", "set", "deployable", "login"]);
        let run = variables.iter().fold(run, |run, (name, value)| run.env(name, value));
        run.output().code_is(1).stderr_contains("it is the base that branches land on");
    }
    // Of one work tree alone.
    repo.set_config("extensions.worktreeConfig", "true");
    repo.git(&["worktree", "add", "--quiet", "../tree", "login"]);
    let tree = sandbox.open("tree");
    tree.git(&["config", "--worktree", "deploy.base", "login"]);
    set(&tree, &["deployable", "login"]).code_is(1).stderr_contains("it is the base that branches land on");
    set(&repo, &["deployable", "login"]).success();
}

#[test]
fn what_is_written_to_a_repository_that_a_group_shares_is_shared() {
    let sandbox = sandbox!();
    sandbox.run("git", &["init", "--quiet", "--shared=group", "shop"]);
    let repo = sandbox.open("shop");
    repo.commit("a.txt", "a\n", "Begin");
    branch(&repo, "login", "b.txt", "b\n");
    let set = "umask 077 && git deploy-state set staged login && git deploy-rebase";
    sandbox.run("sh", &["-c", &format!("cd shop && {set}")]);
    state_is(&repo, "login", "staged");
    let listed = sandbox.run("find", &["shop/.git", "!", "-perm", "-g=r", "-printf", "%p %m\n"]);
    assert_eq!(listed.stdout, "", "nobody else could read these");
    let listed =
        sandbox.run("find", &["shop/.git", "-type", "d", "!", "-perm", "-g=rwxs", "-printf", "%p %m\n"]);
    assert_eq!(listed.stdout, "", "nobody else could write here");
}

#[test]
fn a_repository_whose_git_folder_lies_apart_or_behind_a_link_works() {
    let sandbox = sandbox!();
    let repo = staged(&sandbox);
    // As 'git init --separate-git-dir' does it, which forgets that refs are in tables.
    sandbox.run("mv", &["shop/.git", "apart.git"]);
    repo.write(".git", "gitdir: ../apart.git\n");
    state_is(&repo, "login", "staged");
    sandbox.run("ln", &["-s", "apart.git", "link.git"]);
    sandbox.run("ln", &["-s", "shop", "link"]);
    repo.commit("c.txt", "c\n", "Go on");
    let through = sandbox.open("link");
    through.switch("login");
    through.deploy("deploy-rebase", &[]).stdout_contains("rebased");
    through.git(&["status", "--porcelain"]).stdout_is("");
    let set = ["--git-dir=link.git", "--work-tree=link", "deploy-state", "set", "deployable", "login"];
    sandbox.command("git").args(set).output().success();
    state_is(&repo, "login", "deployable");
    // What is relative is so to where one is, not to the git folder: no file may land there.
    repo.switch("master");
    repo.commit("e.txt", "e\n", "Go on");
    repo.switch("login");
    let rebase =
        sandbox.command("git").in_directory("shop").args(["--git-dir=../apart.git", "--work-tree=."]);
    rebase.arg("deploy-rebase").output().success().stdout_contains("rebased");
    assert!(repo.path().join("e.txt").exists() && !sandbox.root().join("apart.git/e.txt").exists());
    repo.git(&["status", "--porcelain"]).stdout_is("");
    repo.fsck();
}

#[test]
fn what_is_set_from_any_place_is_set_everywhere() {
    let sandbox = sandbox!();
    let repo = staged(&sandbox);
    repo.git(&["worktree", "add", "--quiet", "../tree", "login"]);
    let git_dir = repo.path().join(".git");
    let from = |directory: &str| sandbox.command("git").in_directory(directory);
    from("shop/.git").args(["deploy-state", "set", "deployable", "login"]).output().success();
    state_is(&repo, "login", "deployable");
    from("tree").args(["deploy-state", "set", "development"]).output().success();
    state_is(&repo, "login", "development");
    let elsewhere = from("home").args(["deploy-state", "set", "staged", "login"]).env("GIT_DIR", &git_dir);
    elsewhere.output().success();
    state_is(&repo, "login", "staged");
    repo.commit("c.txt", "c\n", "Go on");
    from("shop/.git").args(["deploy-rebase"]).output().success().stdout_contains("rebased");
    state_is(&repo, "login", "staged");
    sandbox.open("tree").git(&["status", "--porcelain"]).stdout_is("");
    repo.has_no_lock_files();
}

#[test]
fn in_a_submodule_the_states_are_the_submodules_own() {
    let sandbox = sandbox!();
    let (library, repo) = (sandbox.repository("library"), staged(&sandbox));
    library.commit("l.txt", "l\n", "Begin");
    sandbox.set_global_config("protocol.file.allow", "always");
    repo.git(&["submodule", "--quiet", "add", "../library", "lib"]);
    repo.git(&["commit", "--quiet", "--message", "Add the library"]);
    let inside = sandbox.open("shop/lib");
    inside.git(&["checkout", "--quiet", "-b", "fix"]);
    inside.commit("f.txt", "f\n", "Fix it");
    inside.set_config("deploy.publish", "false");
    inside.deploy("deploy-state", &["set", "staged"]);
    inside.deploy("deploy-state", &["get"]).stdout_is("staged\n");
    inside.try_deploy("deploy-state", &["get", "login"]).code_is(128);
    state_is(&repo, "login", "staged");
    // The branch brings no library along, and its state stays the same.
    repo.deploy("deploy-rebase", &[]);
    state_is(&repo, "login", "staged");
}

#[test]
fn a_clone_that_lacks_trees_and_files_fetches_what_it_needs() {
    for filter in ["blob:none", "tree:0"] {
        let sandbox = sandbox!();
        let remote = shared(&sandbox);
        let filter = format!("--filter={filter}");
        sandbox.run("git", &["clone", "--quiet", "--no-checkout", &filter, &url(&remote), "partial"]);
        let partial = sandbox.open("partial");
        partial.deploy("deploy-sync", &[]);
        state_is(&partial, "login", "staged");
        partial.deploy("deploy-state", &["set", "deployable", "login"]);
        state_is(&remote, "login", "deployable");
        partial.deploy("deploy-queue", &["--porcelain"]).stdout_contains("refs/heads/login");
        partial.git(&["branch", "--quiet", "login", "origin/login"]);
        partial.deploy("deploy-rebase", &[]).stdout_contains("rebased");
        state_is(&partial, "login", "deployable");
        partial.deploy("deploy-state", &["log", "login"]).stdout_contains("deployable");
    }
}

#[test]
fn a_clone_that_lacks_trees_says_so_where_nobody_sends_them() {
    let sandbox = sandbox!();
    let remote = shared(&sandbox);
    sandbox.run("git", &["clone", "--quiet", "--no-checkout", "--filter=tree:0", &url(&remote), "partial"]);
    let partial = sandbox.open("partial");
    partial.git(&["fetch", "--quiet", "origin", "refs/notes/deploy:refs/notes/deploy"]);
    let path = remote.path().to_str().unwrap().to_owned();
    sandbox.run("mv", &[&path, &format!("{path}.gone")]);
    for arguments in [&["list"][..], &["get", "login"]] {
        partial
            .try_deploy("deploy-state", arguments)
            .code_is(75)
            .stderr_contains("is not in this partial clone, and could not be fetched: ")
            .stderr_contains("hint: see whether the remote answers that promised it: git fetch\n");
    }
    sandbox.run("mv", &[&format!("{path}.gone"), &path]);
    state_is(&partial, "login", "staged");
}

#[test]
fn a_clone_that_lacks_files_is_not_taken_for_one_with_nothing_to_rebase() {
    let sandbox = sandbox!();
    let remote = shared(&sandbox);
    let repo = sandbox.open("shop");
    // Whether base has the same already is seen in the files alone.
    repo.commit("b.txt", "another\n", "Go on");
    repo.git(&["push", "--quiet", "origin", "master"]);
    sandbox
        .run("git", &["clone", "--quiet", "--no-checkout", "--filter=blob:none", &url(&remote), "partial"]);
    let partial = sandbox.open("partial");
    partial.deploy("deploy-sync", &[]);
    state_is(&partial, "login", "staged");
    partial.git(&["branch", "--quiet", "login", "origin/login"]);
    let path = remote.path().to_str().unwrap().to_owned();
    sandbox.run("mv", &[&path, &format!("{path}.gone")]);
    for (command, arguments) in
        [("deploy-rebase", &["login"][..]), ("deploy-state", &["set", "deployable", "login"][..])]
    {
        partial
            .try_deploy(command, arguments)
            .code_is(75)
            .stderr_contains("is not in this partial clone, and could not be fetched: ")
            .stderr_contains("hint: see whether the remote answers that promised it: git fetch\n");
    }
}

#[test]
fn a_clone_without_the_beginning_works_or_says_how_to_get_it() {
    let sandbox = sandbox!();
    let remote = shared(&sandbox);
    sandbox.run("git", &["clone", "--quiet", "--depth=1", "--no-single-branch", &url(&remote), "shallow"]);
    let shallow = sandbox.open("shallow");
    shallow.deploy("deploy-sync", &[]);
    state_is(&shallow, "login", "staged");
    let tried = shallow.try_deploy("deploy-state", &["set", "deployable", "login"]);
    if tried.code != Some(0) {
        tried.stderr_contains("git fetch --unshallow");
        state_is(&remote, "login", "staged");
        shallow.git(&["fetch", "--quiet", "--unshallow"]);
        shallow.deploy("deploy-state", &["set", "deployable", "login"]);
    }
    state_is(&remote, "login", "deployable");
}

#[test]
fn a_clone_in_which_base_is_cut_off_is_said_to_be_shallow_and_not_that_the_branch_is_unrelated() {
    let sandbox = sandbox!();
    let remote = shared(&sandbox);
    let repo = sandbox.open("shop");
    repo.commit("a.txt", "three\n", "Go on");
    repo.commit("a.txt", "four\n", "Further");
    repo.git(&["push", "--quiet", "origin", "master"]);
    sandbox.run("git", &["clone", "--quiet", "--depth=2", "--no-single-branch", &url(&remote), "shallow"]);
    let shallow = sandbox.open("shallow");
    shallow.deploy("deploy-sync", &[]);
    shallow
        .try_deploy("deploy-state", &["set", "deployable", "login"])
        .code_is(1)
        .stderr_contains("cannot set 'login' to deployable: it could not be rebased: this is a shallow clone")
        .stderr_contains("hint: get the whole history with: git fetch --unshallow\n");
    shallow.git(&["fetch", "--quiet", "--unshallow"]);
    shallow.deploy("deploy-state", &["set", "deployable", "login"]);
}

#[test]
fn in_the_quarantine_of_a_push_states_are_read_and_nothing_is_written() {
    let sandbox = sandbox!();
    let remote = shared(&sandbox);
    remote.git(&["config", "core.logAllRefUpdates", "true"]);
    let repo = sandbox.open("shop");
    let said = sandbox.root().join("said");
    remote.install_hook(
        "pre-receive",
        &format!(
            "exec >'{}' 2>&1\n\
             echo \"${{GIT_QUARANTINE_PATH:+quarantine}}\"\n\
             git deploy-state get login\n\
             git deploy-state set deployable login\n\
             echo $?",
            said.display()
        ),
    );
    repo.switch("login");
    repo.commit("c.txt", "c\n", "Go on");
    repo.git(&["push", "--quiet", "origin", "login:next"]);
    let said = std::fs::read_to_string(said).expect("the hook has written it");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[..2], ["quarantine", "staged"], "{said}");
    assert_ne!(lines.last(), Some(&"0"), "{said}");
    assert!(said.contains("quarantine environment"), "{said}");
    state_is(&remote, "login", "staged");
    remote.fsck();
    remote.has_no_lock_files();
}

/// Leads a branch to a name that is no UTF-8, beside the shell's and the file system's own ideas of names.
fn rename_to_bytes(repo: &Repo, from: &str) {
    let script = "git branch --move \"$1\" \"$(printf 'x\\377y')\"";
    repo.command("sh").args(["-c", script, "sh", from]).output().success();
}

#[test]
fn a_branch_whose_name_is_no_utf_8_is_told_to_have_no_state_and_costs_no_other_its_own() {
    let repo = shop(&sandbox!());
    branch(&repo, "login", "b.txt", "b\n");
    repo.switch("login");
    rename_to_bytes(&repo, "login");
    repo.try_deploy("deploy-state", &[])
        .code_is(128)
        .stderr_contains("fatal: branch 'x\u{fffd}y' can have no state: its name is not UTF-8\n")
        .stderr_contains("hint: rename it: git branch -m <new name>\n")
        .lacks("detached");
    let left_out = "note: 1 branch is left out: its name is not UTF-8, so that it can have no state\n";
    let list = repo.deploy("deploy-state", &["list"]);
    list.stdout_is("").stderr_contains(left_out).stderr_contains("git branch -m").lacks("no branch but base");
    repo.switch("master");
    branch(&repo, "other", "c.txt", "c\n");
    set(&repo, &["staged", "other"]).success();
    for arguments in [&["list", "--porcelain"][..], &["list", "--json"]] {
        let list = repo.deploy("deploy-state", arguments);
        assert_eq!(list.stdout.lines().count(), 1, "{list}");
        list.stderr_contains(left_out);
    }
    branch(&repo, "third", "d.txt", "d\n");
    repo.git(&["branch", "--move", "third", "x"]);
    let script = "git branch --move x \"$(printf '\\376')\"";
    repo.command("sh").args(["-c", script]).output().success();
    repo.deploy("deploy-state", &["list"]).stderr_contains("note: 2 branches are left out: their names");
}
