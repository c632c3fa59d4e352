# shellcheck shell=bash
# The scenarios with a real control plane, which is built first. Sourced by tests/run.

# shellcheck source=/dev/null
source tests/parts/cargo.sh

uses_clusters() { grep -rqE '\bcluster!\(' "$@"; }

uses_nodes() { grep -rqE '\bnode_cluster!\(' "$@"; }

# One line a [[test]] of which `$1` (uses_clusters or uses_nodes) holds. What else is in such a file is run with it.
scenarios() {
    local name path
    while read -r name path; do
        # A test in a directory is all of its files.
        if [ "${path##*/}" = main.rs ]; then path=${path%/main.rs}; fi
        if "$1" "crates/git-deploy/$path"; then printf '%s\n' "$name"; fi
    done < <(awk -F'"' '
        /^\[/ { is_test = /^\[\[test\]\]/ }
        is_test && /^name = / { name = $2 }
        is_test && /^path = / { print name, $2 }
    ' crates/git-deploy/Cargo.toml)
}

# The same for the crates that have tests of their own.
tests_of_crates() {
    local path name
    for path in crates/*/tests/*; do
        name=${path##*/}
        if uses_clusters "$path"; then printf '%s\n' "${name%.rs}"; fi
    done
}

# build_programs <part> <scratch directory>: exports GIT_DEPLOY_TEST_CLUSTER, or says why that cannot be.
build_programs() {
    local part=$1 status=0
    shift
    tests/cluster/build 2>&1 >"$1/directory" | tee "$1/build.log" || status=$?
    case "$status" in
    0) ;;
    2)
        # Its first line says what is missing.
        skipped "$part" "$(sed -n '1s/^tests\/cluster\/build: //p' "$1/build.log")"
        return 1
        ;;
    *)
        failed "$part" "the control plane cannot be built"
        return 1
        ;;
    esac
    GIT_DEPLOY_TEST_CLUSTER=$(cat "$1/directory")
    export GIT_DEPLOY_TEST_CLUSTER
}

part() {
    # These wait more than others do, for the cluster and for pods that are to fail.
    local name arguments=() RUST_TEST_THREADS=$((3 * $(getconf _NPROCESSORS_ONLN)))
    export RUST_TEST_THREADS
    build_programs cluster "$1" || return 0
    while read -r name; do arguments+=(--test "$name"); done < <(scenarios uses_clusters && tests_of_crates)
    run_cargo_test "$1/cluster.log" --workspace "${arguments[@]}"
    unset GIT_DEPLOY_TEST_CLUSTER
}
