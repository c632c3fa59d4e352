# shellcheck shell=bash
# Ids of 64 digits, by the git that is there. libgit2 opens no such repository, so all goes through the second back end,
# which is the git program. Sourced by tests/run.

# shellcheck source=/dev/null
source tests/parts/formats.sh

# What depends most on what the older git can do; the rest is run with the newest.
part() { scenarios_in sha256 "$1/sha256.log" state rebase sync landing; }
