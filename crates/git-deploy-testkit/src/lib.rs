//! Hermetic repositories, a ticking clock and a real control plane for the tests of git-deploy.
//!
//! A [`Sandbox`] is a temporary directory with a home of its own, in which commands run with a cleared
//! environment: neither the developer's git configuration nor the day of the year can change what a test sees.
//! The programs are real, real git among them. Never shipped; knows none of the crates that it helps to test.
//!
//! ```no_run
//! let sandbox = git_deploy_testkit::Sandbox::new();
//! let repo = sandbox.repository("shop");
//! let commit = repo.commit("deploy/shop.yaml", "kind: ConfigMap\n", "Sell things");
//! repo.git(&["log", "-1", "--format=%H"]).stdout_is(&format!("{commit}\n"));
//! ```
//!
//! A test that runs the built binaries begins with [`sandbox!`], which knows where cargo put them; one that needs a
//! Kubernetes API begins with [`cluster!`], which starts a control plane once for all tests of a process ([`cluster`](mod@cluster)).
//! [`shop`] has projects that are ready to be deployed, into either; [`registry`] a registry for images, a [`Store`] what builders keep, and
//! [`SshServer`] and [`HttpServer`] what git reaches by them; [`readme`] what
//! readers are told to paste; [`rebase`] what git makes of branches; [`torture`] writes notes until something is lost. A [`KillSwitch`] ends a run at a moment that a test chooses, and [`skip!`] says what a
//! machine does not allow.

mod clock;
pub mod cluster;
mod format;
pub mod keys;
mod kill_switch;
pub mod manifests;
mod output;
pub mod readme;
pub mod rebase;
pub mod registry;
mod repo;
mod run;
mod running;
mod sandbox;
pub mod scene;
mod server;
pub mod shop;
mod skip;
mod store;
pub mod torture;

pub use clock::Clock;
pub use format::Format;
pub use kill_switch::{KillSwitch, RefPhase};
pub use output::Output;
pub use repo::Repo;
pub use run::Run;
pub use running::{Running, Victim};
pub use sandbox::Sandbox;
pub use server::{HttpServer, HttpsServer, SshServer};
pub use skip::{left_out, skip};
pub use store::Store;

#[doc(hidden)]
pub mod macros {
    //! What the macros need from inside the crate.
    pub use crate::cluster::no_cluster;
    pub use crate::skip::enclosing_function;
}
