//! Manifests of git-deploy: read, set images, lint, write.
