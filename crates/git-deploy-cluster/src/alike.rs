//! When two things that a cluster says are the same thing said again.
//!
//! Controllers say it once for each pod, and count, and say when; pods have names that nobody chose.

/// The letters and digits of which Kubernetes makes [the ends of names][1].
///
/// [1]: https://github.com/kubernetes/apimachinery/blob/master/pkg/util/rand/rand.go
const OF_NAMES: &str = "bcdfghjklmnpqrstvwxz2456789";

/// How many of them end the name of a pod.
const SUFFIX: usize = 5;

/// What a text says, without generated names, numbers and times: equal for what differs in nothing else.
pub(crate) fn gist(text: &str) -> String {
    let words = text.split_inclusive(|c: char| c.is_whitespace() || "\"'(),;=:/".contains(c));
    words.map(gist_of_word).collect()
}

fn gist_of_word(word: &str) -> String {
    let end = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
    let (core, rest) = word.split_at(end.len());
    let is_number = core.starts_with(|c: char| c.is_ascii_digit())
        && core.chars().all(|c| c.is_ascii_digit() || ".-+TZhmsun".contains(c));
    match generated(core) {
        Some(stem) => format!("{stem}-#{rest}"),
        None if is_number => format!("#{rest}"),
        None => word.to_owned(),
    }
}

/// What a generated name begins with: `web` of `web-7dfc949d7c-nggxq`, also of `web-7dfc949d7c`.
fn generated(name: &str) -> Option<&str> {
    let (stem, end) = name.rsplit_once('-')?;
    let is_made = |end: &str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&end.len()) && end.chars().all(|c| OF_NAMES.contains(c))
    };
    if is_made(end, SUFFIX..=SUFFIX) {
        return Some(generated_by_set(stem).unwrap_or(stem));
    }
    generated_by_set(name)
}

/// The same of a ReplicaSet's name, which ends with a number in these letters.
fn generated_by_set(name: &str) -> Option<&str> {
    let (stem, end) = name.rsplit_once('-')?;
    let is_hash = (8..=10).contains(&end.len()) && end.chars().all(|c| OF_NAMES.contains(c));
    is_hash.then_some(stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_pods_numbers_and_times_make_no_difference() {
        for (one, other) in [
            (
                "pods \"web-7dfc949d7c-nggxq\" is forbidden: exceeded quota: small, used: pods=2",
                "pods \"web-7dfc949d7c-4sldb\" is forbidden: exceeded quota: small, used: pods=3",
            ),
            (
                "container 'a' of pod 'web-7d9f8b6c5-x2x4k' crashed 2 times",
                "container 'a' of pod 'web-7d9f8b6c5-bbbbb' crashed 17 times",
            ),
            ("back-off 10s restarting", "back-off 1m20s restarting"),
            ("at 2026-11-20T12:00:00Z", "at 2026-11-21T13:14:15Z"),
            (
                "0/3 nodes are available: 3 Insufficient cpu.",
                "1/12 nodes are available: 11 Insufficient cpu.",
            ),
            ("StatefulSet's pod 'job-x2x4k'", "StatefulSet's pod 'job-4sldb'"),
        ] {
            assert_eq!(gist(one), gist(other));
        }
    }

    #[test]
    fn everything_else_makes_one() {
        for (one, other) in [
            ("secret \"web\" not found", "secret \"key\" not found"),
            ("image 'example.org/web:v1' not found", "image 'example.org/web:v2' not found"),
            ("pod 'web-front'", "pod 'web-frost'"),
            ("pod 'web-7dfc949d7c-nggxq'", "pod 'worker-7dfc949d7c-nggxq'"),
            ("", "x"),
        ] {
            assert_ne!(gist(one), gist(other));
        }
        assert_eq!(gist("Grüße, 世界: nothing"), "Grüße, 世界: nothing");
    }
}
