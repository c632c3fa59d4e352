//! What the builders are told: their command lines, as functions of what is wanted.
//!
//! Buildah's are used in the tests; those of podman and docker differ in what is written here and nowhere else.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::{Build, Builder};
use crate::REVISION;

/// The commit's time, in seconds since 1970, where steps of a build look for it.
///
/// See [the specification](https://reproducible-builds.org/specs/source-date-epoch/).
const EPOCH: &str = "SOURCE_DATE_EPOCH";

/// Where a build's files are.
#[derive(Debug)]
pub(super) struct Files<'a> {
    pub(super) context: &'a Path,
    pub(super) containerfile: &'a Path,
    /// Where the builder writes the id of what it made.
    pub(super) id: &'a Path,
    /// A build argument that nothing reads, by which what is left of a build is known.
    pub(super) mark: &'a str,
    /// Whether all images that it builds on are in registries that are insecure.
    pub(super) has_insecure_bases: bool,
}

/// Asks whether the builder works at all: a client alone does not. Those that keep images themselves print where.
pub(super) fn probe(builder: Builder) -> Vec<OsString> {
    match builder {
        Builder::Buildah => words(["info", "--format", "{{.store.GraphRoot}}\n{{.store.RunRoot}}"]),
        Builder::Podman => words(["info", "--format", "{{.Store.GraphRoot}}\n{{.Store.RunRoot}}"]),
        Builder::Docker => words(["version", "--format", "{{.Server.Version}}"]),
    }
}

/// Builds an image that has no name yet.
///
/// With `--timestamp` buildah and podman set all times: that of the image, of its history, and of the files in the layers
/// that it adds. Newer ones take the times of files from `--source-date-epoch` and `--rewrite-timestamp`, but refuse both
/// together with it, also where they come from the environment ([`environment`]), and know it still. Docker reads the
/// build argument.
///
/// Buildah keeps the containers of steps that failed unless told otherwise, which it lets itself be told only together
/// with its cache, of which it makes no use anyway.
pub(super) fn build(builder: Builder, build: &Build, files: &Files) -> Vec<OsString> {
    let epoch = build.epoch().to_string();
    let mut command = match builder {
        Builder::Buildah => {
            words(["bud", "--isolation", "chroot", "--no-cache", "--force-rm", "--timestamp", &epoch])
        }
        Builder::Podman => words(["build", "--timestamp", &epoch]),
        Builder::Docker => words(["build"]),
    };
    for (name, value) in labels(build) {
        command.extend(words(["--label", &format!("{name}={value}")]));
    }
    let epoch = (EPOCH.to_owned(), epoch);
    let is_given = build.arguments.iter().any(|(name, _)| name == EPOCH);
    let given = build.arguments.iter().filter(|(name, _)| is_identifier(name));
    for (name, value) in given.chain((!is_given).then_some(&epoch)) {
        command.extend(words(["--build-arg", &format!("{name}={value}")]));
    }
    // Docker's daemon clears away itself, and knows itself which registries are insecure.
    if builder != Builder::Docker {
        command.extend(words(["--build-arg", files.mark]));
        command.extend(files.has_insecure_bases.then(|| "--tls-verify=false".into()));
    }
    command.extend(
        ["--file".as_ref(), files.containerfile.as_os_str(), "--iidfile".as_ref()].map(OsStr::to_owned),
    );
    command.extend([files.id.as_os_str(), files.context.as_os_str()].map(OsStr::to_owned));
    command
}

/// Whether a Containerfile could declare it. What else an environment has, such as the functions that bash exports
/// (`BASH_FUNC_name%%`), is no argument of anything.
fn is_identifier(name: &str) -> bool {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.chars().all(is_of_name) && !name.starts_with(|c: char| c.is_ascii_digit()) && !name.is_empty()
}

/// Whether a line of a builder says only that an image does not declare some of the arguments. All images get the same
/// ones, so that is no mistake of anybody's.
pub(super) fn is_of_unused_arguments(line: &str) -> bool {
    let line = line.trim_start().to_lowercase();
    line.starts_with("[warning] one or more build") && line.contains("not consumed")
}

/// Whether a line of a builder is one that it writes for each image that it moves, whatever becomes of it.
pub(super) fn is_routine(builder: Builder, line: &str) -> bool {
    let line = line.trim();
    match builder {
        Builder::Buildah | Builder::Podman => [
            "Getting image source signatures",
            "Checking if image destination supports signatures",
            "Writing manifest to image destination",
            "Storing signatures",
        ]
        .contains(&line),
        Builder::Docker => {
            let is_layer = |id: &str| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
            let state = line.split_once(": ").filter(|(id, _)| is_layer(id));
            line.starts_with("The push refers to repository [")
                || state.is_some_and(|(_, state)| state == "Preparing" || state == "Waiting")
        }
    }
}

/// Variables that a builder must not take from us.
pub(super) fn environment() -> [(&'static str, &'static str); 1] {
    [(EPOCH, "")]
}

fn labels(build: &Build) -> Vec<(&str, String)> {
    let mut labels = vec![(REVISION, build.commit.clone())];
    if let Some(source) = &build.source {
        labels.push(("org.opencontainers.image.source", source.clone()));
    }
    if let Ok(time) = jiff::Timestamp::from_second(build.epoch()) {
        labels.push(("org.opencontainers.image.created", time.to_string()));
    }
    labels.extend(build.labels.iter().map(|(name, value)| (name.as_str(), value.clone())));
    labels
}

/// Gives an image its name, at once.
pub(super) fn tag(image_id: &str, name: &str) -> Vec<OsString> {
    words(["tag", image_id, name])
}

/// Takes a name from an image, and the image away if that was its last. The layers of steps before the last stay where the
/// builder keeps them for later builds.
pub(super) fn forget(builder: Builder, name: &str) -> Vec<OsString> {
    match builder {
        // It keeps none.
        Builder::Buildah => words(["rmi", name]),
        Builder::Podman | Builder::Docker => words(["rmi", "--no-prune", name]),
    }
}

/// Pushes an image; where the builder can, it writes the digest of the manifest into a file.
pub(super) fn push(
    builder: Builder,
    image_id: &str,
    name: &str,
    insecure: bool,
    digest: &Path,
) -> Vec<OsString> {
    match builder {
        Builder::Buildah | Builder::Podman => {
            let mut command = words(["push", "--digestfile"]);
            command.push(digest.as_os_str().to_owned());
            // Where nothing is said, registries.conf decides.
            command.extend(insecure.then(|| "--tls-verify=false".into()));
            command.extend(words([image_id, &format!("docker://{name}")]));
            command
        }
        // Its daemon knows itself which registries are insecure, and it pushes names alone.
        Builder::Docker => words(["push", name]),
    }
}

/// The digest that docker prints when it has pushed.
pub(super) fn digest_in_output(lines: &[String]) -> Option<&str> {
    lines.iter().rev().find_map(|line| {
        let (_, rest) = line.split_once(" digest: ")?;
        rest.split_whitespace().next()
    })
}

/// Prints ids and names of images in the builder's own store that end with that name, also in registries of others.
pub(super) fn list(builder: Builder, name: &str) -> Vec<OsString> {
    let filter = format!("reference={name}");
    match builder {
        Builder::Buildah => {
            words(["images", "--no-trunc", "--filter", &filter, "--format", "{{.ID}} {{.Name}}:{{.Tag}}"])
        }
        Builder::Podman | Builder::Docker => words([
            "images",
            "--no-trunc",
            "--filter",
            &filter,
            "--format",
            "{{.ID}} {{.Repository}}:{{.Tag}}",
        ]),
    }
}

/// The id of the image of that very name among those that were listed. One without a registry is called by builders as if
/// it were in a registry of this machine, or Docker's.
pub(super) fn id_of<'a>(listed: &'a [String], name: &str) -> Option<&'a str> {
    let is_it = |listed: &str| {
        listed == name
            || ["localhost/", "docker.io/"].iter().any(|host| listed.strip_prefix(host) == Some(name))
    };
    let mut pairs = listed.iter().filter_map(|line| line.trim().split_once(' '));
    // Buildah sets them in columns.
    pairs.find(|(_, of)| is_it(of.trim_start())).map(|(id, _)| id)
}

/// Prints the commit that an image in the builder's own store was made from.
pub(super) fn revision(builder: Builder, image_id: &str) -> Vec<OsString> {
    match builder {
        Builder::Buildah => {
            let format = format!("{{{{index .OCIv1.Config.Labels \"{REVISION}\"}}}}");
            words(["inspect", "--type", "image", "--format", &format, image_id])
        }
        Builder::Podman | Builder::Docker => {
            let format = format!("{{{{index .Config.Labels \"{REVISION}\"}}}}");
            words(["image", "inspect", "--format", &format, image_id])
        }
    }
}

fn words<const N: usize>(words: [&str; N]) -> Vec<OsString> {
    words.map(OsString::from).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shop() -> Build {
        Build {
            tree: "/export".into(),
            context: "images/web".into(),
            commit: "a4945f8".repeat(5),
            source: Some("https://git.example.org/shop".to_owned()),
            committed_at: 1_700_000_000,
            labels: vec![("team".to_owned(), "shop".to_owned())],
            arguments: vec![("NGINX".to_owned(), "1.27 = new".to_owned())],
            insecure: crate::Insecure::none(),
        }
    }

    fn files() -> Files<'static> {
        Files {
            context: Path::new("/export/images/web"),
            containerfile: Path::new("/export/images/web/Containerfile"),
            id: Path::new("/tmp/id"),
            mark: "MARK=1",
            has_insecure_bases: false,
        }
    }

    fn line(words: &[OsString]) -> String {
        words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn builders_are_told_the_same_in_their_own_words() {
        let rest = "--label|org.opencontainers.image.revision=a4945f8a4945f8a4945f8a4945f8a4945f8\
            |--label|org.opencontainers.image.source=https://git.example.org/shop\
            |--label|org.opencontainers.image.created=2023-11-14T22:13:20Z\
            |--label|team=shop\
            |--build-arg|NGINX=1.27 = new\
            |--build-arg|SOURCE_DATE_EPOCH=1700000000MARK\
            |--file|/export/images/web/Containerfile|--iidfile|/tmp/id|/export/images/web";
        for (builder, begin) in [
            (Builder::Buildah, "bud|--isolation|chroot|--no-cache|--force-rm|--timestamp|1700000000"),
            (Builder::Podman, "build|--timestamp|1700000000"),
            (Builder::Docker, "build"),
        ] {
            let mark = if builder != Builder::Docker { "|--build-arg|MARK=1" } else { "" };
            let expected = format!("{begin}|{}", rest.replace("MARK", mark));
            assert_eq!(line(&build(builder, &shop(), &files())), expected, "{builder}");
        }
    }

    #[test]
    fn a_time_before_1970_is_none_that_files_can_have_and_a_given_epoch_counts() {
        let old = Build { committed_at: -5, arguments: vec![(EPOCH.to_owned(), "7".to_owned())], ..shop() };
        let line = line(&build(Builder::Buildah, &old, &files()));
        assert!(line.contains("|--timestamp|0|") && line.contains("created=1970-01-01T00:00:00Z"), "{line}");
        assert!(line.contains("|SOURCE_DATE_EPOCH=7|") && !line.contains("EPOCH=0"), "{line}");
    }

    #[test]
    fn only_names_that_a_containerfile_can_declare_are_arguments() {
        let names = ["A_1", "_b", "1A", "", "BASH_FUNC_greet%%", "A=B", "-x", "é"];
        let arguments = names.map(|name| (name.to_owned(), "x".to_owned())).to_vec();
        let line = line(&build(Builder::Podman, &Build { arguments, ..shop() }, &files()));
        let given: Vec<&str> = line.split('|').filter(|word| word.ends_with("=x")).collect();
        assert_eq!(given, ["A_1=x", "_b=x"]);
    }

    #[test]
    fn only_images_of_insecure_registries_are_built_on_without_checking_them() {
        let of = |builder| line(&build(builder, &shop(), &Files { has_insecure_bases: true, ..files() }));
        assert!(of(Builder::Buildah).contains("|--tls-verify=false|"));
        assert!(of(Builder::Podman).contains("|--tls-verify=false|"));
        assert!(!of(Builder::Docker).contains("tls-verify"));
    }

    #[test]
    fn only_a_registry_that_is_insecure_is_pushed_to_without_checking_it() {
        let push =
            |builder, insecure| line(&push(builder, "sha256:1", "r.example/a:b", insecure, Path::new("/d")));
        for builder in [Builder::Buildah, Builder::Podman] {
            assert_eq!(push(builder, false), "push|--digestfile|/d|sha256:1|docker://r.example/a:b");
            assert_eq!(
                push(builder, true),
                "push|--digestfile|/d|--tls-verify=false|sha256:1|docker://r.example/a:b"
            );
        }
        assert_eq!(push(Builder::Docker, true), "push|r.example/a:b");
    }

    #[test]
    fn only_what_is_said_of_unused_arguments_is_passed_over() {
        for line in [
            "[Warning] one or more build args were not consumed: [SOURCE_DATE_EPOCH VERSION]",
            "[Warning] One or more build-args [SOURCE_DATE_EPOCH] were not consumed",
        ] {
            assert!(is_of_unused_arguments(line), "{line}");
        }
        for line in ["[Warning] one or more builds failed", "build args were not consumed: []", ""] {
            assert!(!is_of_unused_arguments(line), "{line}");
        }
    }

    #[test]
    fn only_what_is_said_of_every_image_that_is_moved_is_routine() {
        // As buildah 1.28 and podman 4.3 were seen to write it, and as docker's sources have it.
        for (builder, routine, telling) in [
            (
                Builder::Buildah,
                &["Getting image source signatures", "Writing manifest to image destination"][..],
                &[
                    "Copying blob sha256:59025a267ce9",
                    "Error: Storing signatures",
                    "",
                    "Storing signatures of x",
                ][..],
            ),
            (Builder::Podman, &["Storing signatures\n"], &["Copying config sha256:058dca66660e"]),
            (
                Builder::Docker,
                &[
                    "The push refers to repository [r.example/shop-web]",
                    "5f70bf18a086: Preparing",
                    "5f70bf18a086: Waiting",
                ],
                &["5f70bf18a086: Pushed", "a4945f8: digest: sha256:12 size: 524", "denied: Waiting"],
            ),
        ] {
            assert!(routine.iter().all(|line| is_routine(builder, line)), "{builder}: {routine:?}");
            assert!(!telling.iter().any(|line| is_routine(builder, line)), "{builder}: {telling:?}");
        }
    }

    #[test]
    fn an_image_is_the_one_of_that_very_name() {
        let listed = ["a other.example/shop/web:1", "b   localhost/shop/web:1", "c r.example/web:1"]
            .map(str::to_owned);
        assert_eq!(id_of(&listed, "shop/web:1"), Some("b"));
        assert_eq!(id_of(&listed, "r.example/web:1"), Some("c"));
        assert_eq!(id_of(&listed, "web:1"), None);
    }

    #[test]
    fn docker_says_the_digest_in_its_last_line() {
        let said = ["5f70bf18a086: Pushed", "a4945f8: digest: sha256:12 size: 524", ""].map(str::to_owned);
        assert_eq!(digest_in_output(&said), Some("sha256:12"));
        assert_eq!(digest_in_output(&["denied".to_owned()]), None);
    }

    #[test]
    fn what_is_in_the_own_store_is_asked_by_name_and_then_by_id() {
        let format = "--no-trunc|--filter|reference=a:b|--format|{{.ID}} {{.Repository}}:{{.Tag}}";
        assert_eq!(line(&list(Builder::Docker, "a:b")), format!("images|{format}"));
        assert_eq!(line(&list(Builder::Podman, "a:b")), format!("images|{format}"));
        assert_eq!(
            line(&revision(Builder::Docker, "i")),
            "image|inspect|--format|{{index .Config.Labels \"org.opencontainers.image.revision\"}}|i"
        );
    }
}
