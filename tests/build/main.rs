//! `git deploy-build`: what the images of a commit are called, and how they are made by real buildah and come into a real
//! registry.

mod ahead;
mod deployments;
mod failures;
mod labels;
mod limits;
mod making;
mod meanwhile;
mod names;
mod newcomers;
mod references;
mod scene;
mod surroundings;
