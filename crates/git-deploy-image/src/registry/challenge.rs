//! What a registry says that it wants, in `WWW-Authenticate` ([RFC 9110, 11.6.1][1]).
//!
//! [1]: https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1

/// How to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// With user and password.
    Basic,
    /// With a token that somebody else gives out.
    Bearer(Bearer),
}

/// Where a token is given out, and what for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bearer {
    pub(super) realm: String,
    pub(super) service: Option<String>,
    pub(super) scope: Option<String>,
}

impl Challenge {
    /// The first that can be met.
    pub(super) fn parse(header: &str) -> Option<Challenge> {
        let (scheme, parameters) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Challenge::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let mut bearer = Bearer { realm: String::new(), service: None, scope: None };
        for (name, value) in Parameters(parameters) {
            match name.to_ascii_lowercase().as_str() {
                "realm" => bearer.realm = value,
                "service" => bearer.service = Some(value),
                "scope" => bearer.scope = Some(value),
                _ => {}
            }
        }
        if bearer.realm.is_empty() { None } else { Some(Challenge::Bearer(bearer)) }
    }
}

/// `name="value"` with commas between; in quotes a backslash stands in front of what is meant.
struct Parameters<'a>(&'a str);

impl Iterator for Parameters<'_> {
    type Item = (String, String);

    fn next(&mut self) -> Option<(String, String)> {
        let (name, rest) = self.0.trim_start_matches([' ', ',', '\t']).split_once('=')?;
        let name = name.trim().to_owned();
        let Some(quoted) = rest.strip_prefix('"') else {
            let end = rest.find(',').unwrap_or(rest.len());
            self.0 = &rest[end..];
            return Some((name, rest[..end].trim().to_owned()));
        };
        let mut value = String::new();
        let mut characters = quoted.char_indices();
        while let Some((at, c)) = characters.next() {
            match c {
                '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
                '"' => {
                    self.0 = &quoted[at + 1..];
                    return Some((name, value));
                }
                c => value.push(c),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read_as_registries_write_them() {
        assert_eq!(Challenge::parse(r#"Basic realm="images""#), Some(Challenge::Basic));
        assert_eq!(
            Challenge::parse(
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#
            ),
            Some(Challenge::Bearer(Bearer {
                realm: "https://auth.docker.io/token".to_owned(),
                service: Some("registry.docker.io".to_owned()),
                scope: Some("repository:a/b:pull,push".to_owned()),
            }))
        );
        assert_eq!(
            Challenge::parse(r#"bearer  error=x, realm="a\"b" "#),
            Some(Challenge::Bearer(Bearer { realm: "a\"b".to_owned(), service: None, scope: None }))
        );
        for bad in ["", "Negotiate", "Bearer", r#"Bearer realm="open"#, "Bearer =", "Digest realm=\"a\""] {
            assert_eq!(Challenge::parse(bad), None, "{bad}");
        }
    }
}
