# shellcheck shell=bash
# Ids of 64 digits, by the git that is there. libgit2 opens no such repository, so all goes through the second back end,
# which is the git program. Sourced by tests/run.

# shellcheck source=/dev/null
source tests/parts/formats.sh

# Left out, for their time, are scenarios whose ways through git all others go as well: rollback, crash, signals.
part() {
    scenarios_in sha256 "$1/sha256.log" \
        state rebase sync hooks init queue landing deploy log races torture rewrites approve receive
}
