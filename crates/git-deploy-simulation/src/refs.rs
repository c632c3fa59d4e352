//! Refs of a repository, by libgit2.

use std::fmt;

use git2::{ErrorCode, Oid, Repository};

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

/// Where a ref stands.
pub(crate) fn resolve(repository: &Repository, name: &str) -> Result<Option<Oid>, git2::Error> {
    match repository.refname_to_id(name) {
        Ok(id) => Ok(Some(id)),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Moves a ref, wherever it stands.
pub(crate) fn apply(repository: &Repository, a_move: &Move) -> Result<(), git2::Error> {
    match a_move.new {
        Some(new) if resolve(repository, &a_move.name)? == Some(new) => Ok(()),
        Some(new) => repository.reference(&a_move.name, new, true, "").map(drop),
        None => match repository.find_reference(&a_move.name) {
            Ok(mut found) => found.delete(),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(()),
            Err(error) => Err(error),
        },
    }
}

/// The refs whose names begin like this, by name.
pub(crate) fn below(repository: &Repository, prefix: &str) -> Result<Vec<(String, Oid)>, git2::Error> {
    let mut found = Vec::new();
    for name in repository.references_glob(&format!("{prefix}*"))?.names() {
        let name = name?.to_owned();
        if let Some(id) = resolve(repository, &name)? {
            found.push((name, id));
        }
    }
    found.sort();
    Ok(found)
}
