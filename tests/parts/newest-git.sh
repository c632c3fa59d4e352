# shellcheck shell=bash
# The newest git, which is built first, on refs that are files and on refs that are tables. Sourced by tests/run.

# shellcheck source=/dev/null
source tests/parts/formats.sh

# Twice: all of them in the format that git 3.0 makes, where libgit2 can read nothing, so that the second back end does it;
# and those that depend most on git's own ways in the format of today. Left out, for their time, are scenarios whose ways
# through git all others go as well: rollback, crash, signals.
part() {
    local status=0 programs path=$PATH
    programs=$(tests/git/build 2> >(tee "$1/git.log" >&2)) || status=$?
    case "$status" in
    0) ;;
    2) skipped newest-git "$(sed -n '$s/^tests\/git\/build: //p' "$1/git.log")" && return ;;
    *) failed newest-git "it cannot be built" && return ;;
    esac
    PATH=$programs:$PATH
    scenarios_in '' "$1/newest.log" state hooks init rewrites
    scenarios_in sha256,reftable "$1/both.log" \
        state rebase sync hooks init queue landing deploy log races torture rewrites approve receive
    PATH=$path
}
