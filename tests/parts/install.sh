# shellcheck shell=bash
# ./install.sh into a prefix that is thrown away. Sourced by tests/run.

# Every file below the prefix, with its content.
snapshot() { (cd "$prefix" && find . -type f -exec cksum {} + | sort -k 3); }

check() {
    local name=$1
    shift
    if "$@"; then passed 1; else failed "install: $name" "see above"; fi
}

# Without optimizing, of which most is built by then: a release takes minutes that show nothing more here.
install() { ./install.sh --prefix "$prefix" --debug "$@"; }

installs_twice_with_equal_result() {
    install || return
    snapshot >"$scratch/first"
    install || return
    snapshot >"$scratch/second"
    diff "$scratch/first" "$scratch/second"
}

git_shows_the_man_page() {
    PATH=$prefix/bin:$PATH MANPATH=$prefix/share/man MANPAGER=cat GIT_CONFIG_GLOBAL=/dev/null \
        git deploy-state --help >"$scratch/help" || return
    grep -q 'git.deploy.state' "$scratch/help"
}

demo_tells_its_three_stories() {
    TMPDIR=$scratch install --demo | tee "$scratch/demo" || return
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

ends_with() {
    local expected=$1 status=0
    shift
    "$@" >"$scratch/said" 2>&1 || status=$?
    [ "$status" -eq "$expected" ] && return
    printf '%s: exit code %s instead of %s\n' "$*" "$status" "$expected"
    cat "$scratch/said"
    return 1
}

arguments_that_make_no_sense_are_refused() {
    ends_with 129 ./install.sh --prefix '' || return
    ends_with 129 ./install.sh --prefix= || return
    ends_with 129 ./install.sh --prefix || return
    ends_with 129 ./install.sh --demo --uninstall || return
    ends_with 129 ./install.sh --uninstall --prefix "$prefix" --demo || return
    ends_with 129 ./install.sh --unknown
}

# A machine on which there is all that the script itself needs, and no Rust.
bare_machine() {
    local machine=$1 program found
    mkdir -p "$machine/bin" "$machine/home"
    for program in sh dirname readlink sed head awk cat mktemp rm id cc as ld git printf; do
        found=$(command -v "$program") || continue
        case "$found" in /*) ln -sf "$found" "$machine/bin/$program" ;; esac
    done
}

fake() {
    mkdir -p "${1%/*}"
    printf '#!/bin/sh\n%s\n' "$2" >"$1"
    chmod 755 "$1"
}

install_on() { ends_with 1 env -i HOME="$1/home" PATH="$1/bin" "${2:-./install.sh}" --prefix "$1/prefix"; }

says() {
    grep -qF -- "$1" "$scratch/said" && return
    printf "it does not say: %s\n" "$1"
    cat "$scratch/said"
    return 1
}

what_is_missing_is_named_with_its_commands() {
    local machine=$scratch/machine
    bare_machine "$machine"
    install_on "$machine" || return
    says "missing: rustc and cargo" && says "sh.rustup.rs | sh" && says ". \"\$HOME/.cargo/env\"" || return
    says "(with your system's packages: curl)" || return
    # As it is right after rustup was run without a toolchain, in the same shell.
    local program
    for program in rustc cargo; do fake "$machine/home/.cargo/bin/$program" 'echo "no default is configured" >&2; exit 1'; done
    fake "$machine/home/.cargo/bin/rustup" 'exit 0'
    install_on "$machine" || return
    says "missing: a Rust toolchain" && says "    rustup default stable" || return
    # Found where rustup puts them, though PATH does not name it; also through a link.
    for program in rustc cargo; do fake "$machine/home/.cargo/bin/$program" "echo $program 1.2.3"; done
    ln -s "$PWD/install.sh" "$machine/link"
    ln -s link "$machine/link-to-link"
    install_on "$machine" "$machine/link-to-link" || return
    says ", this is 1.2.3" && says "    rustup update stable"
}

part() {
    scratch=$1
    prefix=$scratch/prefix
    check "arguments that make no sense are refused" arguments_that_make_no_sense_are_refused
    check "what is missing is named" what_is_missing_is_named_with_its_commands
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
