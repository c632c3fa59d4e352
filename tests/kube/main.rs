//! `git deploy` into a real cluster, from the queue to the ledger.

mod allowed;
mod back;
mod blame;
mod failure;
mod images;
mod jobs;
mod keeping;
mod kill;
mod landing;
mod look;
mod moving;
mod order;
mod progress;
mod runners;
mod shop;
mod sight;
mod support;
mod unattended;
mod unstarted;
