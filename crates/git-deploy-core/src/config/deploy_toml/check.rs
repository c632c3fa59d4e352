//! Values: what each of them may be, and what it becomes.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Spanned;

use super::error::{DeployTomlError, Locator, Problem};
use super::raw::{RawBuild, RawDeployToml, RawImage, RawImageName, RawRegistry, Text};
use super::{
    Build, Committer, DEFAULT_HASH_LENGTH, DeployToml, FirstFailure, Image, ImageName, Prune, Registry,
    Severity, TreePath, approve, environments,
};

const HASH_LENGTHS: RangeInclusive<u8> = 4..=64;

pub(super) type Checked<T> = Result<T, DeployTomlError>;

pub(super) fn deploy_toml(raw: RawDeployToml, locator: &Locator<'_>) -> Checked<DeployToml> {
    let image_name = raw.image_name.map(|raw| image_name(raw, locator)).transpose()?;
    if let (None, Some(image)) = (&image_name, raw.image.first()) {
        let problem =
            Problem::Contradiction("[[image]] needs an [image-name] table to be named by".to_owned());
        return Err(locator.error(image.name.span(), problem));
    }
    Ok(DeployToml {
        image_name,
        build: build(raw.build, locator)?,
        images: images(raw.image, locator)?,
        registry: registry(raw.registry, locator)?,
        committer: raw.rebase.committer.map(|text| committer(&text, locator)).transpose()?,
        approve: raw.approve.map(|raw| approve::approve(raw, locator)).transpose()?,
        trust_branches: raw.trust_branches,
        assets: raw.assets,
        environments: environments::environments(raw.environment, locator)?,
    })
}

fn image_name(raw: RawImageName, locator: &Locator<'_>) -> Checked<ImageName> {
    let hash_length = match raw.hash_length {
        None => DEFAULT_HASH_LENGTH,
        Some(length) => u8::try_from(*length.get_ref())
            .ok()
            .filter(|length| HASH_LENGTHS.contains(length))
            .ok_or_else(|| {
            let why = format!("must be from {} to {}", HASH_LENGTHS.start(), HASH_LENGTHS.end());
            let problem = Problem::invalid("hash-length", length.get_ref().to_string(), why);
            locator.error(length.span(), problem)
        })?,
    };
    Ok(ImageName {
        container_namespace: not_empty("container-namespace", raw.container_namespace, locator)?,
        project_namespace: not_empty("project-namespace", raw.project_namespace, locator)?,
        hash_length,
    })
}

fn build(raw: RawBuild, locator: &Locator<'_>) -> Checked<Build> {
    Ok(Build {
        env_file: raw.env_file.map(|path| tree_path("env-file", &path, locator)).transpose()?,
        steps: raw.steps.into_iter().map(|step| not_empty("step", step, locator)).collect::<Checked<_>>()?,
        source: raw.source.map(|url| source(url, locator)).transpose()?,
    })
}

fn source(url: Text, locator: &Locator<'_>) -> Checked<String> {
    const NO_URL: &str = "must be a URL such as 'https://git.example.org/shop'";
    const CREDENTIALS: &str = "must name neither user nor password: everybody who has the image can read it";
    let (scheme, rest) = url.get_ref().split_once("://").unwrap_or_default();
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if let Some((user, _)) = host.rsplit_once('@') {
        // Nor is the password for whoever reads the error.
        let shown = url.get_ref().replacen(user, "***", 1);
        return Err(locator.error(url.span(), Problem::invalid("source", shown, CREDENTIALS)));
    }
    let is_plain = rest.chars().all(|c| c.is_ascii_graphic() && !"\"<>\\^`{|}".contains(c));
    if is_scheme && is_plain && !host.is_empty() {
        Ok(url.into_inner())
    } else {
        Err(refuse("source", &url, NO_URL, locator))
    }
}

fn images(raw: Vec<RawImage>, locator: &Locator<'_>) -> Checked<Vec<Image>> {
    let mut names = BTreeSet::new();
    let mut images = Vec::with_capacity(raw.len());
    for image in raw {
        if !names.insert(image.name.get_ref().clone()) {
            let problem = Problem::Contradiction(format!("two images are named '{}'", image.name.get_ref()));
            return Err(locator.error(image.name.span(), problem));
        }
        images.push(Image {
            context: tree_path("context", &image.context, locator)?,
            name: not_empty("image name", image.name, locator)?,
        });
    }
    Ok(images)
}

fn registry(raw: RawRegistry, locator: &Locator<'_>) -> Checked<Registry> {
    Ok(Registry {
        address: raw.address.map(|address| registry_address(address, locator)).transpose()?,
        load: raw.load.map(|load| load_program(load, locator)).transpose()?,
    })
}

/// With a slash at its end it is the same address.
fn registry_address(address: Text, locator: &Locator<'_>) -> Checked<String> {
    let whole = address.get_ref().trim_end_matches('/').len();
    if whole == 0 {
        return Err(refuse("address", &address, "must not be empty", locator));
    }
    let mut address = not_empty("address", address, locator)?;
    address.truncate(whole);
    Ok(address)
}

/// What brings an image into a cluster: never a file of what happens to be checked out.
fn load_program(words: Spanned<Vec<String>>, locator: &Locator<'_>) -> Checked<Vec<String>> {
    let span = words.span();
    let words = command("load", words, locator)?;
    let refuse = |why: &str| Err(locator.error(span.clone(), Problem::Contradiction(why.to_owned())));
    if words[0].contains('/') && !words[0].starts_with('/') {
        return refuse("'load' must name a program of the search path, or an absolute path");
    }
    if !words.iter().any(|word| word.contains("{image}")) {
        return refuse("'load' must say where the image's name goes: '{image}'");
    }
    Ok(words)
}

pub(super) fn not_empty(what: &str, text: Text, locator: &Locator<'_>) -> Checked<String> {
    if text.get_ref().trim().is_empty() {
        return Err(refuse(what, &text, "must not be empty", locator));
    }
    Ok(text.into_inner())
}

/// A program and its arguments.
pub(super) fn command(
    what: &str,
    words: Spanned<Vec<String>>,
    locator: &Locator<'_>,
) -> Checked<Vec<String>> {
    if words.get_ref().first().is_none_or(String::is_empty) {
        let problem = Problem::Contradiction(format!("'{what}' must name a program"));
        return Err(locator.error(words.span(), problem));
    }
    Ok(words.into_inner())
}

/// A path that stays inside the commit's tree, in its shortest form.
pub(super) fn tree_path(what: &str, text: &Text, locator: &Locator<'_>) -> Checked<TreePath> {
    let path = text.get_ref().as_str();
    let refusal = if path.is_empty() {
        Some("must not be empty")
    } else if path.starts_with('/') {
        Some("must be relative to the root of the tree")
    } else if path.split('/').any(|component| component == "..") {
        Some("must not leave the tree with '..'")
    } else if path.contains('\0') {
        Some("must not contain a NUL character")
    } else {
        None
    };
    if let Some(why) = refusal {
        return Err(refuse(what, text, why, locator));
    }
    let components: Vec<&str> =
        path.split('/').filter(|component| !component.is_empty() && *component != ".").collect();
    Ok(TreePath(if components.is_empty() { ".".to_owned() } else { components.join("/") }))
}

fn committer(text: &Text, locator: &Locator<'_>) -> Checked<Committer> {
    parse_committer(text.get_ref())
        .ok_or_else(|| refuse("committer", text, "must be of the form 'Name <mail@example.org>'", locator))
}

fn parse_committer(text: &str) -> Option<Committer> {
    let (name, rest) = text.split_once('<')?;
    let (name, email) = (name.trim(), rest.strip_suffix('>')?.trim());
    // git ends a line of an identity at these, so they can stand neither in a name nor in an address.
    let is_plain = |part: &str| !part.is_empty() && !part.contains(['<', '>', '\n', '\r', '\0']);
    (is_plain(name) && is_plain(email) && !email.contains(char::is_whitespace))
        .then(|| Committer { name: name.to_owned(), email: email.to_owned() })
}

pub(super) fn severity(rule: &str, text: &Text, locator: &Locator<'_>) -> Checked<Severity> {
    match text.get_ref().as_str() {
        "error" => Ok(Severity::Error),
        "warn" => Ok(Severity::Warn),
        "off" => Ok(Severity::Off),
        _ => {
            let what = format!("severity of rule '{rule}'");
            Err(refuse(&what, text, "must be 'error', 'warn' or 'off'", locator))
        }
    }
}

pub(super) fn prune(text: &Text, locator: &Locator<'_>) -> Checked<Prune> {
    match text.get_ref().as_str() {
        "now" => Ok(Prune::Now),
        "never" => Ok(Prune::Never),
        duration => parse_duration(duration).map(Prune::After).ok_or_else(|| {
            refuse(
                "prune",
                text,
                "must be 'now', 'never' or a duration such as '30m', '12h' or '7d'",
                locator,
            )
        }),
    }
}

pub(super) fn duration(key: &str, text: &Text, locator: &Locator<'_>) -> Checked<Duration> {
    const LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);
    let why = "must be a duration such as '90s', '10m' or '1h30m', at most '7d'";
    let duration = parse_duration(text.get_ref()).filter(|duration| *duration <= LONGEST);
    duration.ok_or_else(|| refuse(key, text, why, locator))
}

pub(super) fn first_failure(text: &Text, locator: &Locator<'_>) -> Checked<FirstFailure> {
    match text.get_ref().as_str() {
        "keep" => Ok(FirstFailure::Keep),
        "remove" => Ok(FirstFailure::Remove),
        _ => Err(refuse("first-failure", text, "must be 'keep' or 'remove'", locator)),
    }
}

/// `90s`, `30m`, `12h`, `7d` and what is put together of them, such as `1h30m`; never nothing.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let mut seconds: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let count: u64 = rest[..digits].parse().ok()?;
        let unit = match rest.as_bytes()[digits] {
            b's' => 1,
            b'm' => 60,
            b'h' => 3_600,
            b'd' => 86_400,
            _ => return None,
        };
        seconds = seconds.checked_add(count.checked_mul(unit)?)?;
        rest = &rest[digits + 1..];
    }
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

/// RFC 1123, as Kubernetes asks for.
pub(super) fn is_dns_label(name: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len())
        && name.bytes().all(is_inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// Whether git takes it as a branch's name: the rules of git-check-ref-format(1) with `--branch`.
pub(super) fn is_branch_name(name: &str) -> bool {
    let is_component = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    !name.starts_with('-')
        && !matches!(name, "@" | "HEAD")
        && !name.ends_with('.')
        && !name.contains("..")
        && !name.contains("@{")
        && !name.contains(|c: char| c.is_ascii_control() || " ~^:?*[\\".contains(c))
        && name.split('/').all(is_component)
}

pub(super) fn refuse(what: &str, text: &Text, why: &str, locator: &Locator<'_>) -> DeployTomlError {
    locator.error(text.span(), Problem::invalid(what, text.get_ref().clone(), why))
}
