//! Objects to files.

use crate::object::Object;
use crate::yaml::emit;

/// The text of an object's file: YAML that kubectl, Argo CD and Flux read as this object.
///
/// The same object gives the same bytes, keys stay in the order of the source, comments are gone. Reading it again
/// with [`read`](crate::read()) gives an equal value.
pub fn write(object: &Object) -> Vec<u8> {
    emit(object.value()).into_bytes()
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
