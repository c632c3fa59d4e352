//! What builders said last, as it stands in the text of an error: what went wrong, and not only where.
//!
//! They end with the line that names the step that failed. What that step wrote, which says why, is before it.

use std::path::Path;
use std::slice;

use super::error::is_of_step;
use super::{BuildError, Failure};
use crate::disk::is_said;
use crate::run::{begin_of, end_of, last_words};

/// How much of a step is shown, in characters.
const LONGEST_STEP: usize = 80;
/// And of the last line of a builder that speaks of no step.
const LONGEST: usize = 300;

/// What builders themselves write of a command that failed: its status, which is said already.
const STATUS: [&str; 6] = [
    "subprocess exited with status",
    "process exited with error",
    "exit status ",
    "error: exit status",
    "removing intermediate container",
    "[warning] one or more build",
];

/// Whether what a line says is followed by the builder's clearing away: that there is no room, or that a step has failed.
pub(super) fn is_before_clearing(line: &str) -> bool {
    is_said(slice::from_ref(&line)) || line.starts_with(STATUS[0])
}

/// What is behind `failed with exit status 2`: at which step, and what was said last.
pub(super) fn of(why: &Failure, last_lines: &[String]) -> String {
    if !matches!(why, Failure::Status(_) | Failure::Signal(_) | Failure::DiskFull(_)) {
        return String::new();
    }
    let said: Vec<&str> = last_lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).collect();
    let Some((last, before)) = said.split_last() else { return String::new() };
    let last = without_label(last);
    let plain = |why: &str| certificate(why).unwrap_or_else(|| end_of(why, LONGEST));
    let Some((step, why)) = step_of(last) else { return format!(": {}", plain(last)) };
    let step = format!(" at step '{}'", begin_of(step, LONGEST_STEP));
    if !is_of_step(last_lines) {
        let missing = missing(why).or_else(|| link_out(why)).unwrap_or_else(|| plain(why));
        return format!("{step}: {missing}");
    }
    match last_words(&of_step(before)) {
        Some(words) => format!("{step}: {words}"),
        // Whoever could not even begin it says why here.
        None if why.contains("exit") || why.is_empty() => step,
        None => format!("{step}: {}", plain(why)),
    }
}

/// Paths of a build that are nobody's but ours, with what stands in their place for people. The longest comes first.
pub(super) struct Paths(pub(super) Vec<(String, String)>);

impl Paths {
    /// A text in which those that mean something in the commit are named as there.
    pub(super) fn named(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (path, name)| text.replace(path, name))
    }

    /// The same for what a builder said last.
    pub(super) fn named_in(&self, mut error: BuildError) -> BuildError {
        if let BuildError::Failed { last_lines, .. } = &mut error {
            last_lines.iter_mut().for_each(|line| *line = self.named(line));
        }
        error
    }
}

/// The word by which each program begins what it says of its own failure.
fn without_label(line: &str) -> &str {
    let label = ["Error: ", "ERROR: ", "error "].into_iter().find_map(|label| line.strip_prefix(label));
    label.unwrap_or(line)
}

/// The step that a builder names last, and what it says of it.
fn step_of(last: &str) -> Option<(&str, &str)> {
    // buildah and podman: `building at STEP "RUN make": exit status 2`
    if let Some((_, named)) = last.split_once("building at STEP \"") {
        // What is said of it may have such quotes too: the end of a step is not marked. `RUN` says a status only.
        let is_run = named.starts_with("RUN");
        return if is_run { named.rsplit_once("\": ") } else { named.split_once("\": ") };
    }
    // docker: `failed to solve: process "/bin/sh -c make" did not complete successfully: exit code: 2`
    if let Some((_, named)) = last.split_once("process \"") {
        return named.rsplit_once("\" did not complete successfully");
    }
    // docker before BuildKit: `The command '/bin/sh -c make' returned a non-zero code: 2`
    last.split_once("The command '")?.1.rsplit_once("' returned a non-zero code")
}

/// What a step wrote, of what was said before its end.
fn of_step<'a>(before: &[&'a str]) -> Vec<&'a str> {
    let is_end_of_block = |line: &&str| line.starts_with("----");
    // docker shows it once more: `> [2/2] RUN make:`, lines with the time in front, and a ruler.
    if let Some(begin) = before.iter().rposition(|line| line.starts_with("> [")) {
        let block = before[begin + 1..].iter().take_while(|line| !is_end_of_block(line));
        return block.map(|line| without_time(line)).collect();
    }
    let begins = |line: &&str| line.starts_with("STEP ") || line.starts_with("---> ");
    let begin = before.iter().rposition(begins).map_or(0, |step| step + 1);
    let is_told = |line: &&&str| {
        let line = line.to_lowercase();
        !STATUS.iter().any(|status| line.starts_with(status))
    };
    before[begin..].iter().filter(is_told).copied().collect()
}

/// `0.123 make: *** no rule`
fn without_time(line: &str) -> &str {
    match line.split_once(' ') {
        Some((time, rest)) if time.contains('.') && time.parse::<f64>().is_ok() => rest,
        _ => line,
    }
}

/// What they say where `COPY` finds a symbolic link that leads out of the context, which is all that there is for them.
fn link_out(why: &str) -> Option<String> {
    let (_, rest) = why.split_once("copier: get: lstat \"/")?;
    let (path, rest) = rest.split_once("\"(\"")?;
    let (target, _) = rest.split_once("\")")?;
    Some(format!("'{path}' is a symbolic link to '{target}', which is not in the build context"))
}

/// What buildah and podman say where `COPY` finds nothing, in fewer words: `'web/nothing' is not there`.
fn missing(why: &str) -> Option<String> {
    let (context, rest) = why.split_once("checking on sources under \"")?.1.split_once('"')?;
    let path = rest.rsplit_once("copier: stat: ")?.1.strip_suffix(": no such file or directory")?;
    let path = path.trim_matches(['[', ']', '"']).trim_start_matches('/');
    let path = if context == "." { path.into() } else { Path::new(context).join(path) };
    Some(format!("'{}' is not there", path.display()))
}

/// What is wrong with a registry's certificate, without the requests in which that was found.
fn certificate(why: &str) -> Option<String> {
    let (before, flaw) = why.rsplit_once("x509: ")?;
    let registry =
        before.rsplit_once("pinging container registry ").and_then(|(_, rest)| rest.split_once(": "));
    let whose = match registry {
        Some((registry, _)) => format!("the certificate of registry '{registry}'"),
        None => "the registry's certificate".to_owned(),
    };
    Some(format!("{whose} is not accepted: x509: {}", end_of(flaw, LONGEST)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(lines: &[&str]) -> String {
        let lines: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
        of(&Failure::Status(2), &lines)
    }

    #[test]
    fn what_a_step_wrote_is_said_whoever_built() {
        let said_by_step = " at step 'RUN make': cc main.c | main.c:3:5: error: expected | 1 error";
        let wrote = ["cc main.c", "main.c:3:5: error: expected", "1 error"];
        // As buildah 1.28 and podman 4.3 were seen to say it.
        let buildah = ["subprocess exited with status 2", "subprocess exited with status 2"];
        let end = ["Error: building at STEP \"RUN make\": exit status 2", ""];
        assert_eq!(said(&[&["STEP 2/3: RUN make"], &wrote[..], &buildah, &end].concat()), said_by_step);
        let end = ["Error: building at STEP \"RUN make\": while running runtime: exit status 2"];
        assert_eq!(said(&[&["--> 7c", "STEP 2/3: RUN make"], &wrote[..], &end].concat()), said_by_step);
        // As docker's sources have it.
        let old = ["The command '/bin/sh -c make' returned a non-zero code: 2"];
        let by_docker = said_by_step.replace("RUN make", "/bin/sh -c make");
        assert_eq!(
            said(&[&["Step 2/3 : RUN make", " ---> Running in 7c"], &wrote[..], &old].concat()),
            by_docker
        );
        let timed = ["0.1 cc main.c", "0.2 main.c:3:5: error: expected", "12.345 1 error"];
        let begin = ["#7 ERROR: process", "------", " > [2/2] RUN make:"];
        let end = [
            "------",
            "Dockerfile:2",
            "   2 | >>> RUN make",
            "--------------------",
            "ERROR: failed to solve: process \"/bin/sh -c make\" did not complete successfully: exit code: 2",
        ];
        assert_eq!(said(&[&begin[..], &timed, &end].concat()), by_docker);
    }

    #[test]
    fn a_step_that_wrote_nothing_is_named_alone_and_never_at_length() {
        let end = "Error: building at STEP \"RUN a \": b\": exit status 2";
        assert_eq!(
            said(&["STEP 2/3: RUN a \": b", "subprocess exited with status 2", end]),
            " at step 'RUN a \": b'"
        );
        let long = said(&[&format!("Error: building at STEP \"RUN {}\": exit status 2", "x".repeat(9000))]);
        assert!(long.len() < 120 && long.ends_with("...'"), "{long}");
    }

    #[test]
    fn what_is_not_there_is_named_as_it_would_be_in_the_commit() {
        let copy = |context: &str| {
            said(&[&format!(
                "Error: building at STEP \"COPY nothing /\": checking on sources under \"{context}\": copier: stat: \
                 \"/nothing\": no such file or directory"
            )])
        };
        assert_eq!(copy("web"), " at step 'COPY nothing /': 'web/nothing' is not there");
        assert_eq!(copy("."), " at step 'COPY nothing /': 'nothing' is not there");
        let several = "Error: building at STEP \"ADD nope* /\": checking on sources under \"web\": Rel: can't make  relative \
            to web; copier: stat: [\"/nope*\"]: no such file or directory";
        assert_eq!(said(&[several]), " at step 'ADD nope* /': 'web/nope*' is not there");
    }

    #[test]
    fn a_certificate_is_named_by_its_registry_and_not_by_what_was_asked_of_it() {
        let end = "Get \"https://r.example:5000/v2/\": tls: failed to verify certificate: x509: certificate has expired";
        assert_eq!(
            said(&[&format!(
                "Error: trying to reuse blob sha256:1f at destination: pinging container registry r.example:5000: {end}"
            )]),
            ": the certificate of registry 'r.example:5000' is not accepted: x509: certificate has expired"
        );
        assert_eq!(
            said(&[end]),
            ": the registry's certificate is not accepted: x509: certificate has expired"
        );
    }

    #[test]
    fn what_else_builders_say_is_said_as_it_is() {
        assert_eq!(
            said(&["Copying blob", "Error: trying to reuse: connection refused"]),
            ": trying to reuse: connection refused"
        );
        assert_eq!(said(&["", " "]), "");
        let unknown = "Error: building at STEP \"FORM \": Build error: Unknown instruction: \"FORM\"";
        assert_eq!(said(&[unknown]), " at step 'FORM ': Build error: Unknown instruction: \"FORM\"");
        assert_eq!(of(&Failure::Cancelled, &["x".to_owned()]), "");
    }
}
