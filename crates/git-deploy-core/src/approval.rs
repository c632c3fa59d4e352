//! A signed approval: what is signed, and how the signature stands in a note.
//!
//! The text that is signed names the branches, the commit, the number of the decision, the state, and the decisions that it
//! replaces, so that a signature counts for exactly that decision: pasted into another note, or back into the same one after
//! a withdrawal, it is worth nothing, and nobody else can make it overrule one. What a note replaces grows with each merge, so
//! the signature has its own list. It begins as no object of git's does, and ssh signs it in a namespace of its own, so that the signature of a
//! commit or a tag is no approval either, nor the other way round.

use std::fmt;
use std::str::FromStr;

use crate::git::notes::NOTES_REF;
use crate::git::sign::Format;
use crate::ids::{CommitId, DecisionId, DeploymentId, RefName};
use crate::note::Note;
use crate::state::{Decision, State};

/// What ssh signs approvals for: the namespace of `ssh-keygen -Y`.
pub const NAMESPACE: &str = "git-deploy";

/// The longest signature that is looked at, in characters.
const MAX_LENGTH: usize = 16 * 1024;

/// The longest line of armour, as gpg and ssh-keygen write it.
const ARMOUR_LINE: usize = 64;

/// What a note decides, as far as it gives rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// The branches, by name.
    pub refs: Vec<RefName>,
    /// The commit that the decision was made on.
    pub commit: CommitId,
    /// The number of the decision.
    pub rev: u64,
    /// The decisions that it replaces, in order.
    pub replaces: Vec<DecisionId>,
}

impl Decided {
    /// The approval in a note; none where it does not approve, or does not say what.
    pub fn of(note: &Note) -> Option<Self> {
        let commit = note.approved.filter(|_| note.decision() == Some(Decision::Deployable))?;
        let mut refs = note.refs.clone();
        refs.sort();
        refs.dedup();
        let signature: Option<Signature> = note.approval.as_ref().and_then(|text| text.parse().ok());
        let mut replaces = signature.map_or_else(|| note.replaces.clone(), |signature| signature.replaces);
        replaces.sort();
        (!refs.is_empty()).then_some(Self { refs, commit, rev: note.rev, replaces })
    }

    /// The text that is signed.
    pub fn statement(&self) -> String {
        let mut text = String::from("git-deploy approval, version 1\n");
        for name in &self.refs {
            text.push_str(&format!("ref: {name}\n"));
        }
        let (Self { commit, rev, .. }, state) = (self, State::Deployable);
        text.push_str(&format!("commit: {commit}\nrev: {rev}\nstate: {state}\n"));
        for id in &self.replaces {
            text.push_str(&format!("replaces: {id}\n"));
        }
        text
    }
}

/// A signature as it stands in a note: `ssh <base64>` or `openpgp <base64>`, without the lines that armour it, and then the
/// decisions that are replaced by what was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Who makes such ones. Those of X.509 are no approvals.
    pub format: Format,
    body: String,
    replaces: Vec<DecisionId>,
}

impl Signature {
    /// Takes the armour off; none if it is not in armour, or of a kind that is no approval.
    pub fn of_armour(format: Format, armour: &str) -> Option<Self> {
        word(format)?;
        let mut lines = armour.lines().map(str::trim);
        lines.by_ref().find(|line| line.starts_with("-----BEGIN "))?;
        let lines: Vec<&str> = lines.take_while(|line| !line.starts_with("-----END ")).collect();
        // Headers end with an empty line; what gpg writes last is a checksum.
        let body = lines.iter().rposition(|line| line.is_empty()).map_or(&lines[..], |end| &lines[end + 1..]);
        let body: String = body.iter().filter(|line| !line.starts_with('=')).copied().collect();
        is_base64(&body).then_some(Self { format, body, replaces: Vec::new() })
    }

    /// The same, of a decision that replaces these.
    pub fn replacing(self, replaces: Vec<DecisionId>) -> Self {
        Self { replaces, ..self }
    }

    /// The text that a program can verify.
    pub fn armour(&self) -> String {
        let (kind, headers) = match self.format {
            Format::Ssh => ("SSH", ""),
            Format::OpenPgp | Format::X509 => ("PGP", "\n"),
        };
        let mut text = format!("-----BEGIN {kind} SIGNATURE-----\n{headers}");
        for (index, letter) in self.body.chars().enumerate() {
            if index > 0 && index % ARMOUR_LINE == 0 {
                text.push('\n');
            }
            text.push(letter);
        }
        text.push_str(&format!("\n-----END {kind} SIGNATURE-----\n"));
        text
    }
}

fn word(format: Format) -> Option<&'static str> {
    match format {
        Format::Ssh => Some("ssh"),
        Format::OpenPgp => Some("openpgp"),
        Format::X509 => None,
    }
}

fn is_base64(text: &str) -> bool {
    let is_digit = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
    (1..=MAX_LENGTH).contains(&text.len()) && text.chars().all(is_digit)
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", word(self.format).unwrap_or_default(), self.body)?;
        self.replaces.iter().try_for_each(|id| write!(f, " {id}"))
    }
}

impl FromStr for Signature {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut words = text.split(' ');
        let (kind, body) = (words.next(), words.next().ok_or(())?.to_owned());
        let format = [Format::Ssh, Format::OpenPgp].into_iter().find(|format| word(*format) == kind);
        let replaces = words.map(|id| id.parse().map_err(drop)).collect::<Result<_, _>>()?;
        let format = format.ok_or(())?;
        if is_base64(&body) { Ok(Self { format, body, replaces }) } else { Err(()) }
    }
}

/// Why a branch that is deployable is not approved by the rules of base.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotApproved {
    /// Nobody signed.
    #[error("nobody signed its approval")]
    Unsigned,
    /// What stands there is no signature, or the note does not say for what.
    #[error("its approval cannot be read")]
    Unreadable,
    /// The signature is not of this decision, or of nobody who may approve.
    #[error("its approval does not hold: {0}")]
    Invalid(String),
    /// It could not be verified here.
    #[error("{0}")]
    Unverified(String),
    /// Whoever may approve cannot be found out.
    #[error("who may approve cannot be read: {0}")]
    Rules(String),
    /// The decision was followed by another one.
    #[error("its approval was withdrawn by {}", decision(*.0))]
    Superseded(u64),
    /// What was approved has landed already.
    #[error("its approval was used up by {0}")]
    Landed(DeploymentId),
    /// The history of the notes ends before it was made.
    #[error("the history of '{NOTES_REF}' is cut off here: cannot tell whether it was withdrawn")]
    CutOff,
    /// The commit that was approved is not here.
    #[error("the approved commit '{}' is not here, so that it cannot be compared with it", .0.brief())]
    Gone(CommitId),
    /// What it would be compared with is cut off.
    #[error(
        "its history is cut off here: cannot tell whether it is what a rebase makes of the approved commit '{}'", .0.brief()
    )]
    Incomparable(CommitId),
    /// It is another commit, and no rebase of it.
    #[error("it is not what a rebase makes of the approved commit '{}'", .0.brief())]
    Differs(CommitId),
}

/// A decision by its number; what people write need not have any.
fn decision(rev: u64) -> String {
    if rev == 0 { "a note that was written by hand".to_owned() } else { format!("decision {rev}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SSH: &str = "-----BEGIN SSH SIGNATURE-----\nU1NIU0lHAAAAAQ\nabc=\n-----END SSH SIGNATURE-----\n";
    const PGP: &str = "-----BEGIN PGP SIGNATURE-----\r\nComment: x\r\n\r\niQEz\r\nabc=\r\n=xyz1\r\n-----END PGP SIGNATURE-----\r\n";

    fn note(keys: &str) -> Note {
        Note::parse(format!("state: deployable\n{keys}").as_bytes()).unwrap()
    }

    #[test]
    fn a_signature_stands_in_one_line_and_comes_back() {
        for (format, armour, line) in
            [(Format::Ssh, SSH, "ssh U1NIU0lHAAAAAQabc="), (Format::OpenPgp, PGP, "openpgp iQEzabc=")]
        {
            let signature = Signature::of_armour(format, armour).unwrap();
            assert_eq!(signature.to_string(), line);
            assert_eq!(line.parse(), Ok(signature.clone()));
            assert_eq!(Signature::of_armour(format, &signature.armour()), Some(signature.clone()));
            let replacing = format!("{line} 0123456789ab 1123456789ab");
            let ids = ["0123456789ab", "1123456789ab"].map(|id| id.parse().unwrap());
            assert_eq!(replacing.parse(), Ok(signature.replacing(ids.to_vec())));
        }
        let long: Signature = format!("ssh {}", "x".repeat(1000)).parse().unwrap();
        assert!(long.armour().lines().all(|line| line.len() <= 64));
    }

    #[test]
    fn what_is_no_signature_is_none() {
        assert_eq!(Signature::of_armour(Format::X509, PGP), None);
        assert_eq!(Signature::of_armour(Format::Ssh, "no armour"), None);
        let long = format!("ssh {}", "x".repeat(MAX_LENGTH + 1));
        for text in ["", "ssh", "ssh ", "x509 abc", "ssh a b", "ssh a-b", "ssh \u{1b}[2J", long.as_str()] {
            assert_eq!(text.parse::<Signature>(), Err(()), "{text}");
        }
    }

    #[test]
    fn the_statement_names_all_that_was_decided() {
        let commit = "1".repeat(40);
        let keys = format!("ref: refs/heads/b\nref: refs/heads/a\nrev: 3\napproved: {commit}");
        let statement = Decided::of(&note(&keys)).unwrap().statement();
        let expected = format!(
            "git-deploy approval, version 1\nref: refs/heads/a\nref: refs/heads/b\ncommit: {commit}\nrev: 3\nstate: deployable\n"
        );
        assert_eq!(statement, expected);
        // What it replaces is what was replaced when it was signed, whatever a merge, or somebody, adds to it.
        let ids = format!("{keys}\nreplaces: 1123456789ab\nreplaces: 0123456789ab");
        let listed = format!("{expected}replaces: 0123456789ab\nreplaces: 1123456789ab\n");
        assert_eq!(Decided::of(&note(&ids)).unwrap().statement(), listed);
        let signed = format!("{ids}\napproval: ssh abc= 0123456789ab");
        assert_eq!(
            Decided::of(&note(&signed)).unwrap().statement(),
            format!("{expected}replaces: 0123456789ab\n")
        );
        assert_eq!(Decided::of(&note(&format!("approved: {commit}"))), None);
        assert_eq!(Decided::of(&note("ref: refs/heads/a")), None);
        let staged = Note { state: State::Staged, ..note(&keys) };
        assert_eq!(Decided::of(&staged), None);
    }
}
