//! Hermetic repositories and a ticking clock for the tests of git-deploy.
