//! Where a pod clones from.

/// What stands in place of a remote that no pod can reach.
const UNKNOWN: &str = "ssh://git@git.example.org/shop.git";

/// A remote as it may be written down.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Remote {
    /// Its URL, without anybody's password.
    pub(super) url: String,
    /// Whether it is one, and no place for one.
    pub(super) is_known: bool,
}

impl Remote {
    /// What is left of a URL that others can use and everybody may read.
    pub(super) fn of(url: Option<&str>) -> Self {
        match url.and_then(public) {
            Some(url) => Self { url, is_known: true },
            None => Self { url: UNKNOWN.to_owned(), is_known: false },
        }
    }
}

fn public(url: &str) -> Option<String> {
    // A query can be a credential, and nothing else is needed of one.
    let is_plain =
        !url.is_empty() && !url.chars().any(|c| c.is_control() || c.is_whitespace() || "?#".contains(c));
    if !is_plain {
        return None;
    }
    match url.split_once("://") {
        Some((scheme @ ("https" | "http"), rest)) => {
            let (host, path) = rest.split_once('/')?;
            // The user can be a token.
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
            (!host.is_empty()).then(|| format!("{scheme}://{host}/{path}"))
        }
        Some((scheme @ ("ssh" | "git"), rest)) => {
            let (host, path) = rest.split_once('/')?;
            let host = match host.rsplit_once('@') {
                Some((user, host)) => {
                    format!("{}@{host}", user.split_once(':').map_or(user, |(user, _)| user))
                }
                None => host.to_owned(),
            };
            (!host.is_empty()).then(|| format!("{scheme}://{host}/{path}"))
        }
        Some(_) => None,
        // As in git: a colon before the first slash, else it is a path.
        None => {
            let (host, _) = url.split_once(':')?;
            (!host.is_empty() && !host.contains('/')).then(|| url.to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(url: &str) -> Option<String> {
        let remote = Remote::of(Some(url));
        remote.is_known.then_some(remote.url)
    }

    #[test]
    fn what_others_can_reach_is_written_down_without_passwords() {
        for (url, expected) in [
            ("git@git.example.org:team/shop.git", "git@git.example.org:team/shop.git"),
            ("ssh://git@git.example.org:2222/shop.git", "ssh://git@git.example.org:2222/shop.git"),
            ("ssh://ada:secret@git.example.org/shop.git", "ssh://ada@git.example.org/shop.git"),
            ("https://ada:secret@git.example.org/shop", "https://git.example.org/shop"),
            ("https://token@git.example.org/shop", "https://git.example.org/shop"),
            ("git://10.1.0.1/shop.git", "git://10.1.0.1/shop.git"),
        ] {
            assert_eq!(found(url).as_deref(), Some(expected), "{url}");
        }
    }

    #[test]
    fn what_only_this_machine_has_is_left_to_whoever_reads_it() {
        for url in [
            "/srv/git/shop.git",
            "../shop.git",
            "./a:b/shop.git",
            "file:///srv/git/shop.git",
            "https://git.example.org/shop?private_token=secret",
            "https://ada:secret@/shop",
            "ssh://git.example.org",
            "a b:shop",
            "",
        ] {
            assert_eq!(found(url), None, "{url}");
        }
        assert!(!Remote::of(None).is_known);
    }
}
