//! The files that a project begins with.

/// The starter manifests.
pub(super) const STARTER: &str = include_str!("starter.yaml");

const DEPLOY_TOML: &str = include_str!("deploy.toml");

/// The `deploy.toml` that a project begins with, with where its sources are, if that is known.
pub(super) fn deploy_toml(hash_length: u8, source: Option<&str>) -> String {
    DEPLOY_TOML
        .replace("{hash-length}", &hash_length.to_string())
        .replace("{#}", if source.is_some() { "" } else { "#" })
        .replace("{source}", source.unwrap_or("https://git.example.org/shop"))
}

/// As many digits as git abbreviates ids to in a repository of so many objects: half of the bits that count them, in
/// digits of four bits, and seven at least. A shallow clone has fewer objects than the repository it comes from, and
/// says nothing about it; ten are enough for a million.
pub(super) fn hash_length(objects: u64, shallow: bool) -> u8 {
    let bits = u64::BITS - objects.leading_zeros();
    let digits = u8::try_from(bits.div_ceil(2)).unwrap_or(u8::MAX);
    digits.max(if shallow { 10 } else { 7 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::deploy_toml::DeployToml;

    #[test]
    fn what_is_active_is_what_there_is_without_it() {
        assert_eq!(DeployToml::parse(&deploy_toml(7, None)).unwrap(), DeployToml::parse("").unwrap());
    }

    #[test]
    fn where_the_sources_are_is_active_where_it_is_known() {
        let written = DeployToml::parse(&deploy_toml(7, Some("https://example.org/shop"))).unwrap();
        assert_eq!(written.build.source.as_deref(), Some("https://example.org/shop"));
        assert!(written.build.steps.is_empty() && written.build.env_file.is_none());
    }

    #[test]
    fn the_examples_are_right_too_and_name_every_key() {
        let is_example = |line: &&str| line.starts_with('#') && !line.starts_with("# ") && *line != "#";
        let uncomment = |line| if is_example(&line) { &line[1..] } else { line };
        let text = deploy_toml(9, None).lines().map(uncomment).collect::<Vec<_>>().join("\n");
        let parsed = DeployToml::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(parsed.image_name.as_ref().map(|name| name.hash_length), Some(9));
        assert_eq!(parsed.environments().len(), 3);
        assert_eq!(parsed.landing_environment().name.as_str(), "production");
        for key in [
            "env-file",
            "steps",
            "source",
            "context",
            "address",
            "load",
            "committer",
            "trust-branches",
            "assets",
        ]
        .into_iter()
        .chain([
            "kind",
            "kube-namespace",
            "render",
            "after",
            "prune",
            "timeout",
            "crash-grace",
            "first-failure",
            "config-hash",
            "allow-kinds",
            "allow-namespaces",
            "gate",
        ]) {
            assert!(text.contains(key), "{key}");
        }
    }

    #[test]
    fn the_length_of_hashes_is_the_one_that_git_would_take() {
        // 2^14 objects and a few are counted with 15 bits, of which the half is 8 when rounded up.
        let lengths =
            [0, 1, 100, 16_383, 16_384, 2_000_000, 11_000_000].map(|objects| hash_length(objects, false));
        assert_eq!(lengths, [7, 7, 7, 7, 8, 11, 12]);
        assert_eq!(hash_length(100, true), 10);
    }
}
