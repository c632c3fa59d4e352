//! Who commits, and when.

use crate::git::program::git;
use crate::git::{GitError, Repository};
use crate::machine;

/// Name, mail and moment, as they stand in a commit: `Ada <ada@example.org> 1763640000 +0100`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    text: String,
    who: usize,
    seconds: i64,
}

impl Repository {
    /// Who commits just now, when and where: what git would write into a commit.
    ///
    /// # Errors
    /// When git does not know who the user is, with git's own advice.
    pub fn identity(&self) -> Result<Identity, GitError> {
        if let Some(known) = self.identity.get() {
            return Ok(known.now());
        }
        if let Some(configured) = self.configured_identity()? {
            return Ok(self.identity.get_or_init(|| configured).clone());
        }
        let call = git(["var", "GIT_COMMITTER_IDENT"]);
        let text = call.text()?;
        let identity = Identity::parse(&text).ok_or_else(|| call.unreadable(text))?;
        // A date that is set stays; else a run asks git once who it is, and its own clock when.
        if std::env::var_os("GIT_COMMITTER_DATE").is_some() {
            return Ok(identity);
        }
        Ok(self.identity.get_or_init(|| identity).clone())
    }

    /// The same without starting git, where the configuration says it in words that git takes as they are (`ident.c`):
    /// a state is set in the time that two processes take.
    fn configured_identity(&self) -> Result<Option<Identity>, GitError> {
        let variables = ["GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "GIT_COMMITTER_DATE"];
        if variables.iter().any(|variable| std::env::var_os(variable).is_some()) {
            return Ok(None);
        }
        let first = |keys: [&str; 2]| -> Result<Option<String>, GitError> {
            match self.config(keys[0])? {
                None => self.config(keys[1]),
                value => Ok(value),
            }
        };
        let name = first(["committer.name", "user.name"])?.filter(|name| is_plain(name));
        let mail = first(["committer.email", "user.email"])?.filter(|mail| is_plain(mail));
        let (Some(name), Some(mail)) = (name, mail) else { return Ok(None) };
        let now = git2::Signature::now(&name, &mail).map_err(GitError::libgit2("no identity".to_owned()))?;
        let (seconds, offset) = (now.when().seconds(), now.when().offset_minutes());
        let sign = if offset < 0 { '-' } else { '+' };
        let (hours, minutes) = (offset.abs() / 60, offset.abs() % 60);
        let identity = Identity::parse(&format!("{name} <{mail}> {seconds} {sign}{hours:02}{minutes:02}"));
        Ok(identity.map(|identity| identity.now()))
    }
}

/// Whether git would write a name or a mail as it is: it strips some characters at the ends and others everywhere.
fn is_plain(text: &str) -> bool {
    let stripped = |char: char| char <= ' ' || ".,:;<>\"\\'".contains(char);
    !text.is_empty()
        && !text.contains(|char: char| char.is_control() || "<>".contains(char))
        && !text.starts_with(stripped)
        && !text.ends_with(stripped)
}

impl Identity {
    /// For whoever only looks, and need not be anybody for that.
    pub(crate) fn of_nobody() -> Self {
        let who = "nobody <nobody@localhost>";
        Self { text: format!("{who} 0 +0000"), who: who.len(), seconds: 0 }
    }

    fn parse(text: &str) -> Option<Self> {
        let who = text.rfind('>')? + 1;
        let seconds = text[who..].split_whitespace().next()?.parse().ok()?;
        Some(Self { text: text.to_owned(), who, seconds })
    }

    /// The same person at this moment.
    fn now(&self) -> Self {
        let seconds = machine::now().as_second();
        let zone = self.text[self.who..].split_whitespace().nth(1).unwrap_or("+0000");
        Self { text: format!("{} {seconds} {zone}", self.who()), who: self.who, seconds }
    }

    /// The whole text, as it stands in a commit.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Name and mail alone.
    pub fn who(&self) -> &str {
        &self.text[..self.who]
    }

    /// The same for libgit2; `None` of what that would write otherwise: it counts 32 bits of seconds, and knows no zone with
    /// more than 59 minutes.
    pub(super) fn signature(&self) -> Option<git2::Signature<'static>> {
        let (name, mail) = self.who().strip_suffix('>')?.split_once(" <")?;
        let zone: i32 = self.text[self.who..].split_whitespace().nth(1)?.parse().ok()?;
        let is_plain = u32::try_from(self.seconds).is_ok() && zone.abs() % 100 < 60;
        let time = git2::Time::new(self.seconds, zone / 100 * 60 + zone % 100);
        is_plain.then(|| git2::Signature::new(name, mail, &time).ok())?
    }

    /// The moment.
    pub fn time(&self) -> jiff::Timestamp {
        jiff::Timestamp::from_second(self.seconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_git_changes_nothing_of_is_taken_without_asking_it() {
        for plain in ["Ada Lovelace", "ada@example.org", "J. R. R. Tolkien", "Zo\u{eb}", "O'Brien"] {
            assert!(is_plain(plain), "{plain}");
        }
        for odd in ["", "Ada ", "Sammy Davis Jr.", "<Ada", "a\nb", "a>b", "\"Ada\""] {
            assert!(!is_plain(odd), "{odd}");
        }
    }
}
