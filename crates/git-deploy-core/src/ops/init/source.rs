//! Where the sources of a project can be found, by the URL of its remote.

/// Hosts whose name on the web is another.
const OTHER_NAME: [&str; 2] = ["ssh.", "altssh."];

/// The URL by which everybody finds what is fetched from this one: without user and password, and with https in place of
/// the ssh of forges, whose user is `git`. None where that is no more than a guess.
pub(super) fn of_remote(url: &str) -> Option<String> {
    let found = match url.split_once("://") {
        Some((scheme @ ("https" | "http"), rest)) => {
            let (host, path) = rest.split_once('/')?;
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
            format!("{scheme}://{host}/{path}")
        }
        Some(("ssh", rest)) => {
            let (host, path) = rest.strip_prefix("git@")?.split_once('/')?;
            of_forge(host.strip_suffix(":22").unwrap_or(host), path)?
        }
        Some(_) => return None,
        None => {
            let (host, path) = url.strip_prefix("git@")?.split_once(':')?;
            of_forge(host, path)?
        }
    };
    // A query can be a credential, too.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~:/%+,@[]".contains(c);
    let has_host = !found.contains(":///");
    (has_host && found.chars().all(is_plain)).then_some(found)
}

fn of_forge(host: &str, path: &str) -> Option<String> {
    let is_name = host.contains('.') && host.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c));
    if !is_name || OTHER_NAME.iter().any(|prefix| host.starts_with(prefix)) || path.starts_with(['/', '~']) {
        return None;
    }
    let path = path.trim_end_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    (!path.is_empty()).then(|| format!("https://{host}/{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(url: &str) -> String {
        of_remote(url).unwrap_or_default()
    }

    #[test]
    fn what_is_fetched_by_https_is_found_there_without_credentials() {
        assert_eq!(found("https://git.example.org/shop.git"), "https://git.example.org/shop.git");
        assert_eq!(
            found("https://ada:secret@git.example.org:8443/a/shop"),
            "https://git.example.org:8443/a/shop"
        );
        assert_eq!(found("https://token@x@git.example.org/shop"), "https://git.example.org/shop");
        assert_eq!(found("http://git.example.org/shop"), "http://git.example.org/shop");
    }

    #[test]
    fn what_is_fetched_from_a_forge_by_ssh_is_found_by_https() {
        for url in [
            "git@git.example.org:team/shop.git",
            "ssh://git@git.example.org/team/shop.git",
            "ssh://git@git.example.org:22/team/shop/",
        ] {
            assert_eq!(found(url), "https://git.example.org/team/shop", "{url}");
        }
    }

    #[test]
    fn what_would_be_a_guess_is_left_out() {
        for url in [
            "../origin.git",
            "/srv/git/shop.git",
            "file:///srv/git/shop.git",
            "gh:team/shop",
            "git@gh:team/shop",
            "ada@server.example.org:shop.git",
            "git@server.example.org:/srv/git/shop.git",
            "git@server.example.org:~ada/shop.git",
            "git@ssh.dev.example.org:v3/team/shop",
            "ssh://git@git.example.org:2222/team/shop",
            "ssh://ada@git.example.org/shop",
            "https://git.example.org/shop?private_token=secret",
            "https://git.example.org/sh\"op\n",
            "https://git.example.org",
            "https://ada:secret@/shop",
            "git://git.example.org/shop",
            "",
        ] {
            assert_eq!(found(url), "", "{url}");
        }
    }
}
