//! The words that image names are made of.
//!
//! The grammar is that of the [distribution project][1], which the [OCI distribution specification][2] repeats
//! for names and tags.
//!
//! [1]: https://pkg.go.dev/github.com/distribution/reference
//! [2]: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests

/// Longest repository, registry included, that registries accept.
pub(crate) const LONGEST_REPOSITORY: usize = 255;
const LONGEST_TAG: usize = 128;

/// What is wrong with one word of an image name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// Nothing is there.
    #[error("is empty")]
    Empty,
    /// A letter that must be lower case.
    #[error("has the upper-case letter '{0}', write it in lower case")]
    UpperCase(char),
    /// A character that has no place in this word.
    #[error("has the character {0:?}, which is not allowed there")]
    Character(char),
    /// A separator at the beginning or end, or beside another one.
    #[error("has {0:?} at an end or beside another separator, put letters or digits on both sides of it")]
    Separator(char),
    /// More characters than allowed.
    #[error("has {found} characters, {allowed} are allowed")]
    Long {
        /// How many there are.
        found: usize,
        /// How many there may be.
        allowed: usize,
    },
    /// An address with a URL's scheme in front.
    #[error("is a URL, leave '{0}' out")]
    Scheme(String),
    /// What stands behind the colon is no port.
    #[error("has the port '{0}', which is no number from 1 to 65535")]
    Port(String),
    /// A namespace that everybody would take for a registry.
    #[error("would be taken for a registry's address, put that into 'registry.address'")]
    LooksLikeRegistry,
    /// A commit's short hash of a length that git does not print.
    #[error("is no short hash of 4 to 64 digits 0-9 and a-f")]
    NoHash,
    /// A digest that is not `algorithm:hex`, or of the wrong length.
    #[error("is no digest such as 'sha256:' and 64 digits 0-9 and a-f")]
    NoDigest,
}

/// One component of a path: lower-case letters and digits, with `.`, `_`, `__` or any number of `-` between.
pub(crate) fn component(word: &str) -> Result<(), Flaw> {
    if word.is_empty() {
        return Err(Flaw::Empty);
    }
    let strange = |c: &char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || ".-_".contains(*c));
    if let Some(c) = word.chars().find(strange) {
        return Err(if c.is_ascii_uppercase() { Flaw::UpperCase(c) } else { Flaw::Character(c) });
    }
    let is_separator = |c: char| !c.is_ascii_alphanumeric();
    for edge in [word.chars().next(), word.chars().next_back()].into_iter().flatten() {
        if is_separator(edge) {
            return Err(Flaw::Separator(edge));
        }
    }
    for run in word.split(|c: char| !is_separator(c)).filter(|run| !run.is_empty()) {
        let fits = matches!(run, "." | "_" | "__") || run.bytes().all(|b| b == b'-');
        if !fits {
            return Err(Flaw::Separator(run.chars().next_back().unwrap_or('.')));
        }
    }
    Ok(())
}

/// Components with `/` between them.
pub(crate) fn path(words: &str) -> Result<(), Flaw> {
    words.split('/').try_for_each(component)
}

/// `host` or `host:port`; the host a name or an IPv6 address in brackets.
pub(crate) fn host(word: &str) -> Result<(), Flaw> {
    let (host, port) = match word.rfind(':') {
        Some(colon) if !word[colon..].contains(']') => (&word[..colon], Some(&word[colon + 1..])),
        _ => (word, None),
    };
    if let Some(port) = port
        && (port.starts_with('+') || !matches!(port.parse::<u16>(), Ok(1..)))
    {
        return Err(Flaw::Port(port.to_owned()));
    }
    if let Some(inside) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inside.parse::<std::net::Ipv6Addr>().map(|_| ()).map_err(|_| Flaw::Character('['));
    }
    if host.is_empty() {
        return Err(Flaw::Empty);
    }
    let between_dots = |flaw| if flaw == Flaw::Empty { Flaw::Separator('.') } else { flaw };
    host.split('.').try_for_each(label).map_err(between_dots)
}

fn label(word: &str) -> Result<(), Flaw> {
    if word.is_empty() {
        return Err(Flaw::Empty);
    }
    if let Some(c) = word.chars().find(|c| !(c.is_ascii_alphanumeric() || *c == '-')) {
        return Err(Flaw::Character(c));
    }
    if word.starts_with('-') || word.ends_with('-') {
        return Err(Flaw::Separator('-'));
    }
    Ok(())
}

/// Whether the first component of a name is a registry, as Docker and all that follow it decide.
pub(crate) fn is_registry(first: &str) -> bool {
    first == "localhost"
        || first.contains(['.', ':'])
        || first.starts_with('[')
        || first.chars().any(|c| c.is_ascii_uppercase())
}

/// A tag: a letter, digit or `_`, then up to 127 of these, `.` or `-`.
pub(crate) fn tag(word: &str) -> Result<(), Flaw> {
    if word.is_empty() {
        return Err(Flaw::Empty);
    }
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if let Some(c) = word.chars().find(|c| !is_word(*c) && !".-".contains(*c)) {
        return Err(Flaw::Character(c));
    }
    if let Some(first) = word.chars().next().filter(|c| !is_word(*c)) {
        return Err(Flaw::Character(first));
    }
    if word.len() > LONGEST_TAG {
        return Err(Flaw::Long { found: word.len(), allowed: LONGEST_TAG });
    }
    Ok(())
}

/// A digest: `sha256:` and 64 hexadecimal digits, or `sha512:` and 128, or another algorithm and at least 32.
pub(crate) fn digest(word: &str) -> Result<(), Flaw> {
    let (algorithm, hex) = word.split_once(':').ok_or(Flaw::NoDigest)?;
    let starts_with_letter = |part: &str| part.starts_with(|c: char| c.is_ascii_alphabetic());
    let named = algorithm
        .split(['+', '.', '-', '_'])
        .all(|part| starts_with_letter(part) && part.bytes().all(|b| b.is_ascii_alphanumeric()));
    let long_enough = match algorithm {
        "sha256" => hex.len() == 64,
        "sha512" => hex.len() == 128,
        _ => hex.len() >= 32,
    };
    if named && long_enough && is_lower_hex(hex) { Ok(()) } else { Err(Flaw::NoDigest) }
}

/// Digits 0-9 and a-f alone.
pub(crate) fn is_lower_hex(word: &str) -> bool {
    word.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_follow_the_grammar_of_the_distribution_project() {
        for good in ["a", "0", "a.b", "a_b", "a__b", "a-b", "a---b", "git-littleman-co"] {
            assert_eq!(component(good), Ok(()), "{good}");
        }
        for (bad, flaw) in [
            ("", Flaw::Empty),
            ("Nginx", Flaw::UpperCase('N')),
            ("a b", Flaw::Character(' ')),
            ("ä", Flaw::Character('ä')),
            ("a/b", Flaw::Character('/')),
            ("-a", Flaw::Separator('-')),
            ("a-", Flaw::Separator('-')),
            ("a..b", Flaw::Separator('.')),
            ("a___b", Flaw::Separator('_')),
            ("a._b", Flaw::Separator('_')),
            ("a-_b", Flaw::Separator('_')),
        ] {
            assert_eq!(component(bad), Err(flaw), "{bad}");
        }
    }

    #[test]
    fn hosts_may_have_a_port_and_may_be_an_ipv6_address() {
        for good in
            ["localhost", "r.example.org", "r:5000", "127.0.0.1:1", "[::1]", "[::1]:5000", "UP.example"]
        {
            assert_eq!(host(good), Ok(()), "{good}");
        }
        for bad in
            ["", "r:", "r:0", "r:65536", "r:+5", "r:x", "-r", "r-", "r..e", "r_e", "[::g]", "[::1", "a b"]
        {
            assert!(host(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn digests_have_the_length_of_their_algorithm() {
        assert_eq!(digest(&format!("sha256:{}", "a".repeat(64))), Ok(()));
        assert_eq!(digest(&format!("sha512:{}", "0".repeat(128))), Ok(()));
        assert_eq!(digest(&format!("blake3+b64:{}", "0".repeat(32))), Ok(()));
        for bad in [
            "".to_owned(),
            "sha256".to_owned(),
            format!("sha256:{}", "a".repeat(63)),
            format!("sha256:{}", "A".repeat(64)),
            format!(":{}", "a".repeat(64)),
            format!("1a:{}", "a".repeat(64)),
        ] {
            assert_eq!(digest(&bad), Err(Flaw::NoDigest), "{bad}");
        }
    }
}
