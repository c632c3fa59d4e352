# shellcheck shell=bash
# The shell scripts of the project. Sourced by tests/run.

part() {
    if ! has shellcheck; then
        skipped shellcheck "shellcheck is not installed"
        return
    fi
    local script
    for script in install.sh .ci/run tests/run tests/parts/*.sh tests/cluster/build tests/git/build hooks/*; do
        [ -f "$script" ] || continue
        if shellcheck "$script"; then passed 1; else failed "$script" "shellcheck complains"; fi
    done
}
