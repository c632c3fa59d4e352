# shellcheck shell=bash
# The scenarios that need no cluster, in repositories of other formats and by another git. Sourced by the parts that say
# which.

# shellcheck source=/dev/null
source tests/parts/cargo.sh

# scenarios_in <format> <log> <name of a test>...: the format as the testkit reads it; empty is git's own default.
scenarios_in() {
    local format=$1 log=$2 name arguments=()
    shift 2
    for name; do arguments+=(--test "$name"); done
    printf -- '-- %s, format: %s\n' "$(git --version)" "${format:-default}"
    GIT_DEPLOY_TEST_FORMAT=$format GIT_DEPLOY_TEST_CLUSTER='' run_cargo_test "$log" --workspace "${arguments[@]}"
}
