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
}
