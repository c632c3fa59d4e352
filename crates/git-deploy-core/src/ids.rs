//! Typed names of the things that the other modules speak of.
//!
//! A value of one of these types has been checked once, where it came in; nothing that is built from it (a ref to
//! update, a line of a protocol, a path) needs to be checked again.

use std::fmt;
use std::str::FromStr;

/// Why a text is not what it was taken for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not 40 or 64 lower-case hexadecimal digits.
    #[error("'{0}' is not an object id: it must have 40 or 64 hexadecimal digits")]
    ObjectId(String),
    /// Not a name that `git check-ref-format` accepts.
    #[error("'{name}' is not a valid ref name: {why}")]
    RefName {
        /// The text.
        name: String,
        /// The rule that it breaks.
        why: &'static str,
    },
    /// Not a DNS label.
    #[error(
        "'{0}' is not a valid environment name: it must be a DNS label (up to 63 of a-z, 0-9 and '-', not at either end)"
    )]
    Environment(String),
    /// Not `deployment-0001` or `deployment-<environment>-0001`.
    #[error("'{0}' is not the name of a deployment: it must look like 'deployment-0001'")]
    Deployment(String),
    /// Not 12 lower-case hexadecimal digits.
    #[error("'{0}' is not the id of a decision: it must have 12 hexadecimal digits")]
    Decision(String),
}

/// The id of a git object: 20 bytes (SHA-1) or 32 bytes (SHA-256).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId {
    bytes: [u8; 32],
    len: u8,
}

impl ObjectId {
    /// Takes the raw bytes of an id, as they stand in a tree object.
    pub fn from_bytes(raw: &[u8]) -> Option<Self> {
        if raw.len() != 20 && raw.len() != 32 {
            return None;
        }
        let mut bytes = [0; 32];
        bytes[..raw.len()].copy_from_slice(raw);
        Some(Self { bytes, len: raw.len() as u8 })
    }

    /// The raw bytes, as they stand in a tree object.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// Whether this is git's "no object".
    pub fn is_null(&self) -> bool {
        self.bytes == [0; 32]
    }

    /// The first `digits` hexadecimal digits.
    pub fn short(&self, digits: usize) -> String {
        let mut hex = self.to_string();
        hex.truncate(digits);
        hex
    }
}

impl FromStr for ObjectId {
    type Err = IdError;

    fn from_str(hex: &str) -> Result<Self, IdError> {
        let digits = hex.as_bytes();
        if digits.len() != 40 && digits.len() != 64 {
            return Err(IdError::ObjectId(hex.to_owned()));
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = hex_byte(pair).ok_or_else(|| IdError::ObjectId(hex.to_owned()))?;
        }
        Ok(Self { bytes, len: (digits.len() / 2) as u8 })
    }
}

/// Whether a name is these bytes in hexadecimal digits, as git writes them.
pub(crate) fn is_hex_of(name: &[u8], bytes: &[u8]) -> bool {
    name.len() == bytes.len() * 2
        && name.chunks_exact(2).zip(bytes).all(|(pair, byte)| hex_byte(pair) == Some(*byte))
}

/// The byte that two hexadecimal digits are, as git writes them.
pub(crate) fn hex_byte(pair: &[u8]) -> Option<u8> {
    let [high, low] = *pair else { return None };
    Some(hex_value(high)? << 4 | hex_value(low)?)
}

/// The value of one lower-case hexadecimal digit; git writes no others.
fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = [0; 64];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(self.as_bytes()) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        let len = usize::from(self.len) * 2;
        f.pad(std::str::from_utf8(&hex[..len]).unwrap_or_default())
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The id of a commit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitId(pub ObjectId);

impl CommitId {
    /// As people are shown it: enough digits to tell it from others, and few enough to be read.
    pub fn brief(&self) -> String {
        self.short(10)
    }

    /// The first `digits` hexadecimal digits.
    pub fn short(&self, digits: usize) -> String {
        self.0.short(digits)
    }
}

impl FromStr for CommitId {
    type Err = IdError;

    fn from_str(hex: &str) -> Result<Self, IdError> {
        hex.parse().map(Self)
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The full name of a ref, such as `refs/heads/login`, by the rules of `git check-ref-format`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefName(String);

impl RefName {
    /// Checks a full name.
    ///
    /// # Errors
    /// When git would not take it, or when it does not begin with `refs/`.
    pub fn new(name: impl Into<String>) -> Result<Self, IdError> {
        let name = name.into();
        match ref_name_fault(&name) {
            None => Ok(Self(name)),
            Some(why) => Err(IdError::RefName { name, why }),
        }
    }

    /// The local branch of this short name.
    ///
    /// # Errors
    /// When git would not take it as the name of a branch.
    pub fn branch(short: &str) -> Result<Self, IdError> {
        if short.starts_with('-') || short == "HEAD" {
            return Err(IdError::RefName { name: short.to_owned(), why: "git allows no such branch" });
        }
        Self::new(format!("refs/heads/{short}"))
    }

    /// What somebody means who types a word: the ref of this full name, else the local branch.
    ///
    /// # Errors
    /// When git would take it as neither.
    pub fn typed(word: &str) -> Result<Self, IdError> {
        Self::new(word).or_else(|_| Self::branch(word))
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name without the part that says what kind of ref it is: `login` for `refs/heads/login`, `origin/login`
    /// for `refs/remotes/origin/login`.
    pub fn short(&self) -> &str {
        ["refs/heads/", "refs/tags/", "refs/remotes/", "refs/"]
            .iter()
            .find_map(|prefix| self.0.strip_prefix(prefix))
            .unwrap_or(&self.0)
    }

    /// The short name of a local branch, if it is one.
    pub fn branch_name(&self) -> Option<&str> {
        self.0.strip_prefix("refs/heads/")
    }
}

impl FromStr for RefName {
    type Err = IdError;

    fn from_str(name: &str) -> Result<Self, IdError> {
        Self::new(name)
    }
}

impl fmt::Display for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The rule of `git check-ref-format` that a full name breaks.
fn ref_name_fault(name: &str) -> Option<&'static str> {
    if !name.starts_with("refs/") {
        return Some("it does not begin with 'refs/'");
    }
    if name.bytes().any(|byte| byte < 0x20 || byte == 0x7f || b" ~^:?*[\\".contains(&byte)) {
        return Some("it has a space, a control character or one of ~^:?*[\\");
    }
    if name.contains("..") || name.contains("@{") {
        return Some("it has '..' or '@{'");
    }
    if name.ends_with('.') {
        return Some("it ends with a dot");
    }
    for part in name.split('/') {
        if part.is_empty() {
            return Some("it has an empty part");
        }
        if part.starts_with('.') || part.ends_with(".lock") {
            return Some("a part of it begins with a dot or ends with '.lock'");
        }
    }
    None
}

/// The name of an environment: a DNS label ([RFC 1123](https://www.rfc-editor.org/rfc/rfc1123)), so that it can be
/// part of the name of an object in a cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnvironmentName(String);

impl EnvironmentName {
    /// Checks a name.
    ///
    /// # Errors
    /// When it is no DNS label.
    pub fn new(name: impl Into<String>) -> Result<Self, IdError> {
        let name = name.into();
        let is_label = !name.is_empty()
            && name.len() <= 63
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !name.starts_with('-')
            && !name.ends_with('-');
        if is_label { Ok(Self(name)) } else { Err(IdError::Environment(name)) }
    }

    /// The environment that there is where none is configured.
    pub fn rendered() -> Self {
        Self("rendered".to_owned())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EnvironmentName {
    type Err = IdError;

    fn from_str(name: &str) -> Result<Self, IdError> {
        Self::new(name)
    }
}

impl fmt::Display for EnvironmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The name of a deployment and of its tag: `deployment-0001` in the environment that lands,
/// `deployment-staging-0001` in another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeploymentId {
    /// The environment, unless it is the one that lands.
    pub environment: Option<EnvironmentName>,
    /// Counts from 1 for each prefix and is never used twice.
    pub number: u64,
}

impl DeploymentId {
    /// The tag's ref.
    pub fn tag(&self) -> RefName {
        RefName(format!("refs/tags/{self}"))
    }

    /// The ref that claims the number.
    pub fn attempt(&self) -> RefName {
        RefName(format!("refs/deploy/attempts/{self}"))
    }

    /// Both that a deployment of this number to an environment may have: where it lands, and where it does not.
    pub fn of_number(environment: &EnvironmentName, number: u64) -> [Self; 2] {
        [None, Some(environment.clone())].map(|environment| Self { environment, number })
    }

    /// Reads the name from the ref of a tag.
    pub fn from_tag(name: &RefName) -> Option<Self> {
        name.as_str().strip_prefix("refs/tags/")?.parse().ok()
    }
}

impl FromStr for DeploymentId {
    type Err = IdError;

    fn from_str(name: &str) -> Result<Self, IdError> {
        let wrong = || IdError::Deployment(name.to_owned());
        let rest = name.strip_prefix("deployment-").ok_or_else(wrong)?;
        let (environment, digits) = match rest.rsplit_once('-') {
            Some((environment, digits)) => {
                (Some(EnvironmentName::new(environment).map_err(|_| wrong())?), digits)
            }
            None => (None, rest),
        };
        let canonical = digits.bytes().all(|byte| byte.is_ascii_digit())
            && (digits.len() == 4 || digits.len() > 4 && !digits.starts_with('0'));
        let number: u64 = digits.parse().map_err(|_| wrong())?;
        // A number that leaves no room for the next is nobody's.
        if canonical && number > 0 && number <= u64::from(u32::MAX) {
            Ok(Self { environment, number })
        } else {
            Err(wrong())
        }
    }
}

impl fmt::Display for DeploymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("deployment-")?;
        if let Some(environment) = &self.environment {
            write!(f, "{environment}-")?;
        }
        write!(f, "{:04}", self.number)
    }
}

/// The id of a decision: the first 12 hexadecimal digits of the id (SHA-1) that git gives a blob with the decision's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DecisionId([u8; 6]);

impl DecisionId {
    /// The id of a decision with this text.
    pub fn of(text: &str) -> Self {
        let mut bytes = [0; 6];
        // Never fails: the text is in memory, and the function has nothing else to work with.
        if let Ok(id) = git2::Oid::hash_object(git2::ObjectType::Blob, text.as_bytes()) {
            bytes.copy_from_slice(&id.as_bytes()[..6]);
        }
        Self(bytes)
    }
}

impl FromStr for DecisionId {
    type Err = IdError;

    fn from_str(hex: &str) -> Result<Self, IdError> {
        let wrong = || IdError::Decision(hex.to_owned());
        let digits: [u8; 12] = hex.as_bytes().try_into().map_err(|_| wrong())?;
        let mut bytes = [0; 6];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = hex_value(pair[0]).ok_or_else(wrong)? << 4 | hex_value(pair[1]).ok_or_else(wrong)?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_id_has_40_or_64_digits() {
        let sha1 = "0123456789abcdef0123456789abcdef01234567";
        let sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        for hex in [sha1, sha256] {
            let id: ObjectId = hex.parse().unwrap();
            assert_eq!(id.to_string(), hex);
            assert_eq!(ObjectId::from_bytes(id.as_bytes()), Some(id));
        }
        for wrong in
            ["", "0123", &sha1[1..], &sha1.to_uppercase(), &sha1.replace('0', "g"), &sha1.replace("01", "é")]
        {
            assert!(wrong.parse::<ObjectId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn ref_names_follow_git_check_ref_format() {
        let wrong = [
            "refs/heads/",
            "refs/heads/.a",
            "refs/heads/a..b",
            "refs/heads/a b",
            "refs/heads/a.lock",
            "refs/heads/a.",
            "refs/heads//a",
            "refs/heads/a~1",
            "refs/heads/a:b",
            "refs/heads/a\nb",
            "refs/heads/@{u}",
            "heads/a",
            "refs/heads/a/",
            "refs/heads/a.lock/b",
            "refs/heads/a\\b",
            "refs/heads/a\u{7f}",
        ];
        for name in wrong {
            assert!(RefName::new(name).is_err(), "{name:?}");
        }
        for name in
            ["refs/heads/a", "refs/heads/$(touch;x)", "refs/heads/-a", "refs/heads/ä'\"", "refs/heads/a@b"]
        {
            assert!(RefName::new(name).is_ok(), "{name:?}");
        }
        assert!(RefName::branch("-a").is_err());
    }

    #[test]
    fn a_word_that_is_typed_is_a_ref_else_a_branch() {
        for (word, name) in [
            ("refs/heads/login", "refs/heads/login"),
            ("login", "refs/heads/login"),
            ("heads/login", "refs/heads/heads/login"),
        ] {
            assert_eq!(RefName::typed(word).unwrap().as_str(), name);
        }
        assert!(RefName::typed("HEAD").is_err());
    }

    #[test]
    fn a_deployment_is_named_by_four_digits_at_least() {
        for name in
            ["deployment-0001", "deployment-12345", "deployment-staging-0002", "deployment-eu-west-1-0003"]
        {
            assert_eq!(name.parse::<DeploymentId>().unwrap().to_string(), name);
        }
        let wrong =
            ["deployment-1", "deployment-00001", "deployment-0000", "deployment-x", "deployment--0001"];
        for name in wrong {
            assert!(name.parse::<DeploymentId>().is_err(), "{name}");
        }
    }

    #[test]
    fn a_decision_is_named_as_git_names_its_text() {
        // printf 'state: staged\nrev: 1\n' | git hash-object --stdin
        let id = DecisionId::of("state: staged\nrev: 1\n");
        assert_eq!(id.to_string(), "e2e03e2128fe");
        assert_eq!(id.to_string().parse(), Ok(id));
        for wrong in ["", "0123456789a", "0123456789abc", "0123456789aB", "0123456789a\u{e9}"] {
            assert!(wrong.parse::<DecisionId>().is_err(), "{wrong}");
        }
    }
}
