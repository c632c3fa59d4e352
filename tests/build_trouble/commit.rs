//! What is wrong with the commit itself: its fault, said in one sentence, and nothing is built.

use std::os::unix::fs::symlink;

use git_deploy_testkit::{Output, sandbox, skip};

use crate::lab;
use crate::lab::{CONTAINERFILE, Lab};

impl Lab {
    /// The build fails through the commit's fault: one error, and nothing is left.
    #[track_caller]
    fn fails(&self, said: &str) -> Output {
        let output = self.build(&[]);
        let errors = output.stderr.lines().filter(|line| line.starts_with("error: ")).count();
        assert_eq!(errors, 1, "{output}");
        output.code_is(1).stdout_is("").stderr_contains(said);
        self.is_tidy();
        self.has_no_image();
        output
    }
}

#[test]
fn a_name_with_commas_names_no_second_containerfile() {
    let sandbox = sandbox!();
    let lab = lab!(&sandbox, "shop", "");
    let secret = sandbox.root().join("secret");
    std::fs::write(&secret, "hidden\n").expect("a file");
    let context = format!("a,{},b", secret.display());
    let text = lab.repo.read("deploy.toml").replace("context = \"web\"", &format!("context = \"{context}\""));
    lab.commit("deploy.toml", &text);
    lab.commit("a", "FROM scratch\n");
    lab.commit(&format!("{context}/index.html"), "hello\n");
    lab.commit(&format!("{context}/Containerfile"), "FROM scratch\nCOPY index.html /\n");
    lab.build(&[]).success().lacks("hidden");
}

#[test]
fn a_step_that_names_the_fault_of_others_is_still_the_commits() {
    let lab = lab!(&sandbox!(), "shop", "");
    for words in ["dial tcp", "no space left on device", "unauthorized"] {
        lab.commit("web/Containerfile", &format!("{CONTAINERFILE}RUN echo '{words}' >&2; exit 1\n"));
        lab.fails("cannot build image");
    }
}

#[test]
fn a_containerfile_without_end_fills_no_memory() {
    let lab = lab!(&sandbox!(), "shop", "");
    lab.configure("[build]\nsteps = [\"rm web/Containerfile; truncate -s 6G web/Containerfile\"]\n");
    lab.fails("'web/Containerfile' is too large for a Containerfile");
}

#[test]
fn a_containerfile_that_fails_is_shown_with_its_status_and_its_last_lines() {
    let lab = lab!(&sandbox!(), "shop", "");
    let lines = "RUN echo first; echo 'second \\033[31m' >&2; exit 7\n";
    lab.commit("web/Containerfile", &format!("{CONTAINERFILE}{lines}"));
    let output = lab.fails("error: cannot build image 'littleman-co/shop-web:");
    output
        .stderr_contains("'buildah' failed with exit status 7 at step 'RUN echo first; ")
        .stderr_contains("shop-web | first\n")
        .stderr_contains("shop-web | second ")
        .lacks("\u{1b}");
    lab.commit("web/Containerfile", "FROM scratch\nCPOY index.html /\n");
    lab.fails("cannot build image").stderr_contains("CPOY");
    lab.commit("web/Containerfile", "");
    lab.fails("cannot build image");
}

#[test]
fn files_that_are_missing_are_named() {
    let lab = lab!(&sandbox!(), "shop", "");
    lab.commit("web/Containerfile", "FROM scratch\nCOPY nothing /\n");
    lab.fails("nothing");
    lab.repo.git(&["rm", "--quiet", "web/Containerfile"]);
    lab.repo.git(&["commit", "--quiet", "--message", "Forget it"]);
    lab.fails("there is neither a 'Containerfile' nor a 'Dockerfile' in 'web'");
    lab.repo.git(&["rm", "--quiet", "-r", "web"]);
    lab.repo.git(&["commit", "--quiet", "--message", "Forget all"]);
    lab.fails("its context 'web' is no directory of the commit");
    lab.commit("web", "a file\n");
    lab.fails("its context 'web' is no directory of the commit");
}

#[test]
fn a_name_that_is_none_says_which_part_of_it() {
    let lab = lab!(&sandbox!(), "shop", "");
    let text = lab.repo.read("deploy.toml");
    for (before, after, said) in [
        ("littleman-co", "Littleman", "container-namespace"),
        ("\"shop\"", "\"shop..x\"", "project-namespace"),
        ("name = \"web\"", "name = \"-web\"", "name"),
        ("[registry]\n", "[registry]\naddress = \"not a host\"\n", "address"),
    ] {
        lab.commit("deploy.toml", &text.replace(before, after));
        lab.build(&[]).code_is(128).stdout_is("").stderr_contains(said);
        lab.is_tidy();
    }
}

#[test]
fn an_environment_file_with_an_error_is_named_with_its_line() {
    let lab = lab!(&sandbox!(), "shop", "");
    lab.configure("[build]\nenv-file = \"build.env\"\n");
    lab.fails("environment file: ").stderr_contains("build.env");
    for (text, said) in [
        ("A=1\nB=(\n", "environment file 'build.env' has an error: "),
        ("A=1\nB=\"open", "environment file 'build.env' has an error: build.env: 2: Syntax error"),
        ("A=1\nfalse\n", "environment file 'build.env' has an error: the command in line 2 failed"),
        (
            "A=1\nno-such-program\n",
            "environment file 'build.env' has an error: build.env: 2: no-such-program",
        ),
        (
            "A=1\n: ${B:?is missing}\n",
            "environment file 'build.env' has an error: build.env: 2: B: is missing",
        ),
    ] {
        lab.commit("build.env", text);
        lab.fails(said).stderr_contains("2");
    }
    lab.commit("build.env", "A=1\nexit 0\n");
    lab.fails("environment file 'build.env' has an error: it ends the shell that reads it");
}

#[test]
fn a_step_that_cannot_be_run_or_fails_in_a_pipe_is_named() {
    let lab = lab!(&sandbox!(), "shop", "");
    lab.configure("[build]\nsteps = [\"./assets.sh\"]\n");
    lab.fails("step './assets.sh' failed with exit status 127").stderr_contains("o such file");
    lab.commit("assets.sh", "#!/bin/sh\ntrue\n");
    lab.fails("step './assets.sh' failed with exit status 126").stderr_contains("ermission denied");
    lab.repo.git(&["update-index", "--chmod=+x", "assets.sh"]);
    lab.repo.git(&["commit", "--quiet", "--message", "Let it run"]);
    lab.repo.git(&["checkout", "--quiet", "--", "assets.sh"]);
    lab.commit("assets.sh", "#!/bin/sh\nsh -c 'exit 3' | cat\necho not reached\n");
    lab.fails("step './assets.sh' failed with exit status 3").lacks("not reached").lacks("STEP");
    lab.commit("assets.sh", "#!/no/such/interpreter\n");
    lab.fails("step './assets.sh' failed with exit status 127");
}

#[test]
fn nothing_outside_of_the_commits_files_is_read() {
    let lab = lab!(&sandbox!(), "shop", "");
    // Beside the repository, where the commit's author knows it to be.
    let secret = lab.repo.sandbox().root().join("secret");
    std::fs::create_dir(&secret).expect("a folder");
    std::fs::write(secret.join("Containerfile"), CONTAINERFILE).expect("a file");
    std::fs::write(secret.join("key"), "KEY=hidden\necho hidden\n").expect("a file");
    let link = |target: &str, path: &str| {
        let at = lab.repo.path().join(path);
        if at.is_dir() && !at.is_symlink() {
            std::fs::remove_dir_all(&at).expect("it is there");
        } else if at.is_symlink() || at.exists() {
            std::fs::remove_file(&at).expect("it is there");
        }
        symlink(target, &at).expect("a link");
        lab.repo.git(&["add", "--all"]);
        lab.repo.git(&["commit", "--quiet", "--message", "Link"]);
    };
    let secret = secret.to_str().expect("UTF-8");
    // A link in the context leads to what is in the context, wherever it points: there is no such file.
    lab.commit("web/Containerfile", &format!("{CONTAINERFILE}COPY stolen /\nRUN cat /stolen\n"));
    for target in [format!("{secret}/key"), "/etc/passwd".to_owned(), "../../../../../etc/passwd".to_owned()]
    {
        link(&target, "web/stolen");
        let mut output = lab.fails("cannot build image");
        // Buildah may be told by its other half that this has ended, before it is told why.
        while output.stderr.contains("broken pipe") {
            output = lab.fails("cannot build image");
        }
        output
            .stderr_contains("'stolen' is a symbolic link to '")
            .stderr_contains("not in the build context");
        output.lacks("hidden").lacks("root:");
    }
    lab.commit("web/Containerfile", &format!("{CONTAINERFILE}COPY folder /folder\nRUN cat /folder/key\n"));
    link(secret, "web/folder");
    lab.fails("cannot build image").lacks("hidden");
    // A link inside of a folder that is copied stays a link.
    lab.commit("web/Containerfile", &format!("{CONTAINERFILE}COPY . /all\nRUN cat /all/stolen\n"));
    lab.fails("cannot build image").lacks("hidden").lacks("root:");
    // So does one that is added, and nothing is mounted or fetched from outside.
    let mount = "RUN --mount=type=bind,source=stolen,target=/stolen cat /stolen\n";
    lab.commit("web/Containerfile", &format!("{CONTAINERFILE}{mount}"));
    link(&format!("{secret}/key"), "web/stolen");
    lab.fails("'web/stolen' leads out of the commit's files, and a step mounts").lacks("hidden");
    let hidden =
        ["--mo\\ \nunt=type=bind,source=stolen", "--mo\\\n# on the way\nunt=type=bind,source=stolen"];
    let cache = format!("--mount=type=cache,id=../../../../../../../../../../..{secret}");
    let stage = format!("--mount=type=bind,from=0,source=/link{secret}");
    for mount in hidden.into_iter().chain([cache.as_str(), stage.as_str()]) {
        let lines = format!(
            "FROM scratch\nCOPY busybox /bin/sh\nRUN {mount},target=/stolen cat /stolen/key /stolen\n"
        );
        lab.commit("web/Containerfile", &format!("{CONTAINERFILE}RUN ln -s / /link\n{lines}"));
        lab.fails("a step mounts what may lead out of the commit's files").lacks("hidden");
    }

    lab.repo.git(&["rm", "--quiet", "web/Containerfile"]);
    link(&format!("{secret}/Containerfile"), "web/Containerfile");
    lab.fails("'web/Containerfile' leads out of the commit's files");
    link("/etc/passwd", "web/Containerfile");
    lab.fails("'web/Containerfile' leads out of the commit's files").lacks("root:");
    link(secret, "web");
    lab.fails("'web' leads out of the commit's files");
    lab.configure("[build]\nenv-file = \"build.env\"\n");
    link(&format!("{secret}/key"), "build.env");
    lab.fails("build.env").lacks("hidden");
}

#[test]
fn an_image_is_not_made_without_a_submodule_that_belongs_into_it() {
    let lab = lab!(&sandbox!(), "shop", "");
    let library = lab.repo.sandbox().repository("library");
    library.commit("page.html", "from the library\n", "Begin");
    let path = library.path().to_str().expect("UTF-8").to_owned();
    let allowed = ["-c", "protocol.file.allow=always", "submodule", "--quiet"];
    lab.repo.git(&[&allowed[..], &["add", &path, "web/library"]].concat());
    lab.repo.git(&["commit", "--quiet", "--message", "Use a library"]);
    lab.repo.git(&["submodule", "--quiet", "deinit", "--all", "--force"]);
    std::fs::remove_dir_all(lab.repo.path().join(".git/modules")).expect("it is there");
    let output = lab.build(&[]);
    output.code_is(128).stdout_is("").stderr_contains("submodule 'web/library' is not fetched");
    output.stderr_contains("hint: fetch it with: git submodule update --init");
    lab.has_no_image();
    lab.is_tidy();
    lab.repo.git(&[&allowed[..], &["update", "--init"]].concat());
    lab.build(&[]).success().lacks("warning");
}

#[test]
fn a_program_that_loads_is_no_file_of_what_is_checked_out() {
    let lab = lab!(&sandbox!(), "shop", "load = [\"./load.sh\", \"{image}\"]");
    lab.build(&[]).code_is(128).stderr_contains("'load' must name a program of the search path");
    let lab = lab!(&sandbox!(), "shop", "load = [\"true\"]");
    lab.build(&[]).code_is(128).stderr_contains("'load' must say where the image's name goes");
}

#[test]
fn a_commit_whose_time_no_archive_can_have_is_built_with_the_nearest_that_it_can() {
    let lab = lab!(&sandbox!(), "shop", "");
    lab.commit(
        "web/Containerfile",
        &format!("{CONTAINERFILE}ARG SOURCE_DATE_EPOCH\nRUN echo of $SOURCE_DATE_EPOCH\n"),
    );
    lab.configure("[build]\nsteps = [\"echo step of $SOURCE_DATE_EPOCH\"]\n");
    let commit = lab.repo.git(&["cat-file", "commit", "HEAD"]).stdout;
    let (begin, message) = commit.split_once("\n\n").expect("a commit");
    let (begin, _) = begin.rsplit_once('>').expect("a committer");
    for (time, nearest) in [("-5", "0"), ("8589934592", "8589934591"), ("9999999999999", "8589934591")] {
        let text = format!("{begin}> {time} +0000\n\n{message}");
        let write = ["hash-object", "-t", "commit", "-w", "--literally", "--stdin"];
        let id = lab.repo.command("git").args(write).stdin(text).output().success().line().to_owned();
        let output = lab.build(&[&id]);
        output.success().stderr_contains(&format!("step of {nearest}\n"));
        output.stderr_contains(&format!("| of {nearest}\n"));
    }
}
