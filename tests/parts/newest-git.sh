# shellcheck shell=bash
# The newest git, which is built first, on refs that are files and on refs that are tables. Sourced by tests/run.

# shellcheck source=/dev/null
source tests/parts/formats.sh

# Whether git works as we use it is shown by fewer scenarios than whether a format does: with tables it is also about
# locks, races and what the dead leave behind, and who may approve is not about refs. Ids of 64 digits are a part of their
# own.
part() {
    local status=0 programs path=$PATH
    programs=$(tests/git/build 2> >(tee "$1/git.log" >&2)) || status=$?
    case "$status" in
    0) ;;
    2) skipped newest-git "$(sed -n '$s/^tests\/git\/build: //p' "$1/git.log")" && return ;;
    *) failed newest-git "it cannot be built" && return ;;
    esac
    PATH=$programs:$PATH
    scenarios_in '' "$1/newest.log" state rebase sync hooks init queue landing deploy rewrites approve receive
    scenarios_in reftable "$1/reftable.log" state rebase sync hooks init queue landing races torture rewrites receive
    PATH=$path
}
