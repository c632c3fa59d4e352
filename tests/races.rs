//! Others do something at the worst moment of a deployment: decisions, pushes, crashes, locks.

#[path = "races/base.rs"]
mod base;
#[path = "races/crashes.rs"]
mod crashes;
#[path = "races/decisions.rs"]
mod decisions;
#[path = "races/locks.rs"]
mod locks;
#[path = "races/moment.rs"]
mod moment;
#[path = "races/verdicts.rs"]
mod verdicts;
