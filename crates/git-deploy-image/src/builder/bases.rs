//! Which images a Containerfile builds on, as far as it says so plainly.

use crate::Insecure;

/// Whether a build fetches images from registries that are insecure, and from no others: builders are told that for all
/// of a build, or not at all. `registries.conf` they read themselves; it is loopback addresses that they do not know of.
///
/// What is not plain is no reason to check less.
pub(super) fn are_insecure(containerfile: &str, insecure: &Insecure) -> bool {
    let is_of_one = |image: &String| {
        let (host, path) = image.split_once('/').unwrap_or_default();
        let path = path.split('@').next().unwrap_or_default();
        let path = path.rsplit_once(':').map_or(path, |(path, _tag)| path);
        !host.is_empty() && insecure.contains(host, path)
    };
    fetched(containerfile).is_some_and(|images| !images.is_empty() && images.iter().all(is_of_one))
}

/// The images that a Containerfile has a builder fetch; nothing where it does not say that plainly.
pub fn fetched(containerfile: &str) -> Option<Vec<String>> {
    let (mut stages, mut images) = (vec!["scratch".to_owned()], Vec::new());
    for instruction in instructions(containerfile)? {
        let words: Vec<&str> = instruction.split_whitespace().collect();
        let [name, words @ ..] = words.as_slice() else { continue };
        let is_option = |word: &&&str| word.starts_with("--");
        match name.to_ascii_uppercase().as_str() {
            "FROM" => {
                let mut words = words.iter().skip_while(is_option);
                let image = (*words.next()?).to_owned();
                if image.contains(['$', '"', '\'']) {
                    return None;
                }
                if !stages.contains(&image.to_lowercase()) {
                    images.push(image);
                }
                stages.extend(words.nth(1).map(|stage| stage.to_lowercase()));
            }
            "COPY" => {
                for from in words.iter().filter_map(|word| word.strip_prefix("--from=")) {
                    if from.contains(['$', '"', '\'']) {
                        return None;
                    }
                    let is_number = from.bytes().all(|digit| digit.is_ascii_digit());
                    if !is_number && !stages.contains(&from.to_lowercase()) {
                        images.push(from.to_owned());
                    }
                }
            }
            // From the network, perhaps.
            "ADD" if instruction.contains("://") || instruction.contains('$') => return None,
            _ => {}
        }
    }
    Some(images)
}

/// The instructions, each in one line; nothing where another character than `\` continues lines.
fn instructions(containerfile: &str) -> Option<Vec<String>> {
    let (mut all, mut begun) = (Vec::new(), String::new());
    for line in containerfile.lines().map(str::trim) {
        if line.starts_with('#') {
            if line.to_lowercase().replace([' ', '\t'], "").starts_with("#escape=") {
                return None;
            }
            continue;
        }
        match line.strip_suffix('\\') {
            Some(begin) => begun.push_str(begin),
            None => all.push(std::mem::take(&mut begun) + line),
        }
    }
    all.push(begun);
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_checked_unless_all_that_it_fetches_is_of_insecure_registries() {
        let insecure = Insecure::loopback();
        for (text, expected) in [
            ("FROM localhost:5000/a", true),
            ("from --platform=linux/amd64 127.0.0.1:5000/a/b:1 as x\nFROM X\nFROM scratch", true),
            ("FROM \\\n  localhost:5000/a@sha256:1\n# FROM other\nCOPY --from=0 /a /b", true),
            ("FROM localhost:5000/a AS one\nCOPY --chown=1 --from=one /a /b\nADD x.tar /", true),
            ("FROM localhost:5000/a AS one\nCOPY --from=localhost:5000/b /a /b", true),
            // Nothing is fetched.
            ("FROM scratch", false),
            ("", false),
            // From somewhere else.
            ("FROM a", false),
            ("FROM a/b", false),
            ("FROM registry.example/a", false),
            ("FROM localhost:5000/a\nFROM registry.example/b", false),
            ("FROM localhost:5000/a\nCOPY --from=registry.example/b /a /b", false),
            ("FROM localhost:5000/a\nCOPY --from=b /a /b", false),
            ("FROM localhost:5000/a\nADD https://registry.example/b /", false),
            // Who knows.
            ("ARG A=localhost:5000/a\nFROM $A", false),
            ("ARG A\nFROM localhost:5000/a\nCOPY --from=$A /a /b", false),
            ("# escape=`\nFROM localhost:5000/a", false),
            ("FROM", false),
        ] {
            assert_eq!(are_insecure(text, &insecure), expected, "{text}");
        }
        assert!(!are_insecure("FROM localhost:5000/a", &Insecure::none()));
    }
}
