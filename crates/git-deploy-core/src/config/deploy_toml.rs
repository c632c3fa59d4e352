//! `deploy.toml`: text to value.
