//! Image names of git-deploy.
