//! Refs of a repository, in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;

use git2::Oid;

/// One ref that moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Move {
    pub(crate) name: String,
    pub(crate) old: Option<Oid>,
    pub(crate) new: Option<Oid>,
}

impl fmt::Display for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let brief = |id: Option<Oid>| id.map_or_else(|| "-".to_owned(), |id| id.to_string()[..8].to_owned());
        write!(f, "{} {}..{}", self.name, brief(self.old), brief(self.new))
    }
}

/// What `git update-ref --stdin -z` is told.
pub(crate) fn transaction(input: &[u8]) -> Vec<Move> {
    let text = String::from_utf8_lossy(input).into_owned();
    let mut fields = text.split('\0');
    let mut moves = Vec::new();
    let id = |text: Option<&str>| text.and_then(|text| Oid::from_str(text).ok()).filter(|id| !id.is_zero());
    while let Some(field) = fields.next() {
        let Some((command, name)) = field.split_once(' ') else { continue };
        let (old, new) = match command {
            "create" => (None, id(fields.next())),
            "update" => {
                let new = id(fields.next());
                (id(fields.next()), new)
            }
            "delete" => (id(fields.next()), None),
            "verify" => {
                let old = id(fields.next());
                (old, old)
            }
            _ => panic!("the simulation has no '{command}' of refs"),
        };
        moves.push(Move { name: name.to_owned(), old, new });
    }
    moves
}

/// The refs of a repository.
#[derive(Debug, Default)]
pub(crate) struct Refs(BTreeMap<String, Oid>);

impl Refs {
    /// Where a ref stands.
    pub(crate) fn resolve(&self, name: &str) -> Option<Oid> {
        self.0.get(name).copied()
    }

    /// Moves a ref, wherever it stands.
    pub(crate) fn apply(&mut self, a_move: &Move) {
        match a_move.new {
            Some(new) => self.0.insert(a_move.name.clone(), new),
            None => self.0.remove(&a_move.name),
        };
    }

    /// The refs whose names begin like this, by name.
    pub(crate) fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, Oid)> {
        let from = self.0.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
        from.take_while(move |(name, _)| name.starts_with(prefix)).map(|(name, id)| (name.as_str(), *id))
    }
}
