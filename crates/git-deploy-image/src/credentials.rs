//! Texts of programs that were given passwords, for whoever keeps them.

/// A text whose URLs say of nobody by which password he is known: `postgres://...@db/shop`.
///
/// It comes before a text is cut: of half a URL nobody can tell that it is one. Doing it again changes nothing.
#[must_use]
pub fn without_credentials(text: &str) -> String {
    let mut parts = text.split("://");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c.is_whitespace() || "/?#\"'".contains(c)).unwrap_or(part.len());
        let (authority, rest) = part.split_at(end);
        let authority =
            authority.rsplit_once('@').map_or(authority.to_owned(), |(_, host)| format!("...@{host}"));
        shown.push_str(&format!("://{authority}{rest}"));
    }
    shown
}

/// The same of words in which a program has taken a URL apart, as git does: `unable to look up ada:secret@host`.
///
/// It is for what a program says of a remote: elsewhere a colon before an `@` may mean something else.
#[must_use]
pub fn without_passwords(text: &str) -> String {
    without_credentials(text).split_inclusive(char::is_whitespace).map(without_login).collect()
}

fn without_login(word: &str) -> String {
    let begin = word.find(|c| !"'\"(<".contains(c)).unwrap_or(word.len());
    let (quotes, rest) = word.split_at(begin);
    // A digest comes after a tag, too.
    let is_login =
        |login: &str, host: &str| login.contains(':') && !login.contains('/') && !host.starts_with("sha256:");
    match rest.rsplit_once('@') {
        Some((login, host)) if is_login(login, host) => format!("{quotes}...@{host}"),
        _ => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_urls_only_those_lose_something_that_name_somebody() {
        for (text, expected) in [
            ("postgres://ada:a@b@db:5432/shop?x=1", "postgres://...@db:5432/shop?x=1"),
            ("redis://:key@db, 'amqp://ada@mq'", "redis://...@db, 'amqp://...@mq'"),
            ("see https://example.org/@ada", "see https://example.org/@ada"),
            ("ada@example.org: no route", "ada@example.org: no route"),
            ("://", "://"),
        ] {
            assert_eq!(without_credentials(text), expected);
            assert_eq!(without_credentials(expected), expected);
        }
    }

    #[test]
    fn nobody_reads_passwords_in_what_git_says_of_a_remote() {
        for (text, expected) in [
            ("unable to look up ada:secret@host (port 9418)", "unable to look up ...@host (port 9418)"),
            ("'ada:se@cret@host'\ngit://ada:secret@host/a", "'...@host'\ngit://...@host/a"),
            ("git@host:shop.git: no route", "git@host:shop.git: no route"),
            ("web:1@sha256:0a and host:5000/web@sha256:0a", "web:1@sha256:0a and host:5000/web@sha256:0a"),
        ] {
            assert_eq!(without_passwords(text), expected);
            assert_eq!(without_passwords(expected), expected);
        }
    }
}
