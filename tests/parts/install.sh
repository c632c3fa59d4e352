# shellcheck shell=bash
# ./install.sh into a prefix that is thrown away. Sourced by tests/run.

# Every file below the prefix, with its content.
snapshot() { (cd "$prefix" && find . -type f -exec cksum {} + | sort -k 3); }

check() {
    local name=$1
    shift
    if "$@"; then passed 1; else failed "install: $name" "see above"; fi
}

installs_twice_with_equal_result() {
    ./install.sh --prefix "$prefix" || return
    snapshot >"$scratch/first"
    ./install.sh --prefix "$prefix" || return
    snapshot >"$scratch/second"
    diff "$scratch/first" "$scratch/second"
}

git_shows_the_man_page() {
    PATH=$prefix/bin:$PATH MANPATH=$prefix/share/man MANPAGER=cat GIT_CONFIG_GLOBAL=/dev/null \
        git deploy-state --help >"$scratch/help" || return
    grep -q 'git.deploy.state' "$scratch/help"
}

demo_tells_its_three_stories() {
    TMPDIR=$scratch ./install.sh --prefix "$prefix" --demo | tee "$scratch/demo" || return
    local word
    for word in deployment-0001 broken 'Failed Deployment' staged; do
        grep -q "$word" "$scratch/demo" || { printf "the demo lacks '%s'\n" "$word" && return 1; }
    done
}

uninstalling_leaves_what_was_there_before() {
    ./install.sh --prefix "$prefix" --uninstall || return
    [ "$(cd "$prefix" && find . -mindepth 1 | sort)" = "$(printf './bin\n./bin/foreign')" ] && return
    find "$prefix" && return 1
}

part() {
    scratch=$1
    prefix=$scratch/prefix
    # What was there before is not ours to remove.
    mkdir -p "$prefix/bin"
    : >"$prefix/bin/foreign"
    check "twice gives the same" installs_twice_with_equal_result
    if has man; then
        check "git shows the man page" git_shows_the_man_page
    else
        skipped "install: git shows the man page" "man is not installed"
    fi
    check "the demo tells its stories" demo_tells_its_three_stories
    check "uninstalling leaves nothing" uninstalling_leaves_what_was_there_before
}
