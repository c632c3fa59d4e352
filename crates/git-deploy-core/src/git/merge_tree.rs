//! Merging with `git merge-tree`.
