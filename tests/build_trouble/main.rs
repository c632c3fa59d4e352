//! Images in trouble: what is wrong with a commit, a registry, a disk or at the wrong moment is one clear error, and nothing
//! is lost or left.

mod base;
mod between;
mod commit;
mod disk;
mod killed;
mod lab;
mod load;
mod registry;
mod twice;
