//! What is configured, and what comes from where.
pub mod deploy_toml;
