//! What can be wrong with a YAML document.

use super::scalar::ScalarFault;

/// A fault and the line in the document where it was found, 1 for the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct At {
    pub(crate) line: usize,
    pub(crate) fault: YamlFault,
}

/// Why a YAML document cannot be read, or not be read in the one way in which everybody reads it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum YamlFault {
    /// The text is no YAML.
    #[error("this is no YAML: {0}")]
    Syntax(String),
    /// A character that YAML does not allow.
    #[error("the character {0:?} is not allowed in YAML, write it as an escape between double quotes")]
    Character(char),
    /// A character that ends a line in YAML 1.1 and does not in YAML 1.2.
    #[error(
        "the character {0:?} ends a line for some readers only, write it as an escape between double quotes"
    )]
    LineBreak(char),
    /// An unquoted word in a flow collection that YAML 1.1 and 1.2 take apart differently: `[a?b]`, `[a:, b]`.
    #[error("readers disagree about '{}' between brackets, quote it", .0.escape_debug())]
    Flow(String),
    /// `...`, and then something without `---`.
    #[error("something follows the end of the document that kubectl would not read, begin it with '---'")]
    AfterEnd,
    /// A key that stands twice in one mapping.
    #[error("the key '{}' stands twice in one mapping, remove one", .0.escape_debug())]
    DuplicateKey(String),
    /// A key that JSON cannot have.
    #[error("a key is {0}, write it as a string")]
    Key(&'static str),
    /// What stands behind `<<` is no mapping.
    #[error("'<<' wants a mapping or a list of mappings")]
    Merge,
    /// A tag and a text that do not fit together.
    #[error("the value does not fit its tag '!!{}'", .0.escape_debug())]
    Tag(String),
    /// `!!binary`.
    #[error("the tag '!!binary' is not supported, write base64 as a plain string")]
    Binary,
    /// `.nan` or `.inf`.
    #[error("a number that is not finite cannot be written as JSON")]
    NotFinite,
    /// An alias inside of what it stands for.
    #[error("an alias stands inside of what it stands for")]
    AliasLoop,
    /// Aliases that multiply.
    #[error("the aliases of this document expand to more than {0} bytes")]
    AliasBomb(usize),
    /// Nested too deeply.
    #[error("more than {0} levels are nested")]
    Depth(usize),
}

impl From<ScalarFault> for YamlFault {
    fn from(fault: ScalarFault) -> YamlFault {
        match fault {
            ScalarFault::Tag { tag } => YamlFault::Tag(tag),
            ScalarFault::Binary => YamlFault::Binary,
            ScalarFault::NotFinite => YamlFault::NotFinite,
            ScalarFault::Key(what) => YamlFault::Key(what),
        }
    }
}
