# shellcheck shell=bash
# All test binaries of the workspace. Sourced by tests/run.

# Reads the output of cargo test; prints one line a fact: `passed <n>`, `failed <n>`, `crashed <binary>`,
# `ignored <name>: <reason>` and `skipped <name>: <reason>`.
read_results() {
    awk '
        function close_binary() { if (binary != "" && !has_result) print "crashed", binary }
        /^ +Running / || /^ +Doc-tests / {
            close_binary()
            sub(/^ +/, "")
            binary = $0
            has_result = 0
        }
        /^test result: / {
            has_result = 1
            for (i = 1; i < NF; i++) {
                if ($(i + 1) == "passed;") passes += $i
                if ($(i + 1) == "failed;") failures += $i
            }
        }
        /^test .* \.\.\. ignored/ {
            name = $0; sub(/^test /, "", name); sub(/ \.\.\. ignored.*/, "", name)
            reason = $0
            if (!sub(/.* \.\.\. ignored, /, "", reason)) reason = "ignored without a reason"
            print "ignored", name ": " reason
        }
        # A scenario says this itself and then counts as passed for the test harness.
        /^skipped: / { passes--; sub(/^skipped: /, ""); print "skipped", $0 }
        /^left out: / { passes-- }
        END { close_binary(); print "passed", passes + 0; print "failed", failures + 0 }
    ' "$1"
}

# run_cargo_test <log> <argument of cargo test>...: always with --workspace, because with the features of other packages
# everything would be built again.
run_cargo_test() {
    local log=$1 status=0 counted=0 kind fact
    shift
    # One binary that fails must not hide the others. Colours would hide the lines that are read.
    CARGO_TERM_COLOR=never cargo test --locked --no-fail-fast "$@" 2>&1 | tee "$log" || status=$?
    while read -r kind fact; do
        case "$kind" in
        passed) passed "$fact" ;;
        failed)
            failed_count=$((failed_count + fact))
            counted=$((counted + fact))
            ;;
        crashed)
            failed "$fact" "ended without a result"
            counted=$((counted + 1))
            ;;
        ignored | skipped) skipped "${fact%%: *}" "${fact#*: }" ;;
        esac
    done < <(read_results "$log")
    list_failed_tests "$log"
    if [ "$status" -ne 0 ] && [ "$counted" -eq 0 ]; then
        failed "cargo test" "could not build or run the tests (exit code $status)"
    fi
}

# Their number is known from the results; here are their names.
list_failed_tests() {
    local name
    while read -r name; do failures+=("failed: $name"); done \
        < <(sed -n 's/^test \(.*\) \.\.\. FAILED$/\1/p' "$1")
}

# Scenarios with a cluster are a part of their own; a directory that is empty leaves them out.
part() { GIT_DEPLOY_TEST_CLUSTER='' run_cargo_test "$1/cargo.log" --workspace; }
