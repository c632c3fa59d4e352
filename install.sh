#!/bin/sh
# Builds and installs git-deploy, takes it away again, and shows it.
#
# Everything is staged first and then moved into place file by file, each by a rename. A manifest under the
# prefix lists what is ours, so that nothing else is ever overwritten or removed; it is written before the first
# file, so that an installation that was interrupted can be repeated or removed.

set -eu
unset CDPATH

usage() {
    cat <<'USAGE'
usage: ./install.sh [--prefix <dir>] [--debug] [--demo | --uninstall]

Builds git-deploy and installs programs, man pages, completions and hook templates. Needs no root.

  --prefix <dir>  where to; ~/.local if left out
  --debug         do not optimize: it is built in less time and runs slower
  --demo          install, then show the whole line in a fresh sample repository
  --uninstall     remove exactly what was installed
  -h, --help      this text

example: ./install.sh --prefix ~/.local --demo
USAGE
}

# Where this script is itself, whatever link it was called by.
script=$0
while [ -h "$script" ]; do
    target=$(readlink "$script")
    case "$target" in
    /*) script=$target ;;
    *) script=$(dirname "$script")/$target ;;
    esac
done
source_dir=$(cd "$(dirname "$script")" && pwd)
prefix=
action=install
profile=release
scratch=

say() { printf '%s\n' "$*"; }
complain() { printf '%s\n' "$*" >&2; }
fail() {
    complain "install.sh: $*"
    exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }

# --- What must be there ---------------------------------------------------------------------------------------

# The value of a key like rust-version = "1.89" in the workspace's Cargo.toml.
declared() { sed -n "s/^$1 *= *\"\([^\"]*\)\".*/\1/p" "$source_dir/Cargo.toml" | head -n 1; }

# Whether the version $1 is at least $2; both like 2.39 or 2.39.5.
is_at_least() {
    printf '%s\n%s\n' "$1" "$2" | awk -F '[^0-9]+' '
        NR == 1 { for (i = 1; i <= 3; i++) have[i] = $i + 0 }
        NR == 2 {
            for (i = 1; i <= 3; i++) {
                if (have[i] > $i + 0) exit 0
                if (have[i] < $i + 0) exit 1
            }
        }'
}

# The command that installs packages here: apt's names, dnf's, pacman's, apk's, brew's.
package_command() {
    sudo=
    if [ "$(id -u)" -ne 0 ]; then sudo='sudo '; fi
    if has apt-get; then
        say "${sudo}apt-get update && ${sudo}apt-get install -y $1"
    elif has dnf; then
        say "${sudo}dnf install -y $2"
    elif has pacman; then
        say "${sudo}pacman -S --needed $3"
    elif has apk; then
        say "${sudo}apk add $4"
    elif has brew; then
        say "brew install $5"
    else
        say "(with your system's packages: $1)"
    fi
}

missing=0
# What is missing, and the commands that install it, one a line.
lacks() {
    complain "missing: $1"
    printf '%s\n' "$2" | sed 's/^/    /' >&2
    missing=1
}

rustup_commands() {
    if ! has curl; then package_command curl curl curl curl curl; fi
    say "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
    # shellcheck disable=SC2016 # it is to be pasted as it is
    say '. "$HOME/.cargo/env"'
}

# rustup puts the programs there, and the shell that it ran in does not know yet.
find_cargo() {
    cargo_bin=${CARGO_HOME:-${HOME:-}/.cargo}/bin
    if ! has cargo && [ -x "$cargo_bin/cargo" ]; then PATH=$cargo_bin:$PATH; fi
}

check_rust() {
    minimum=$(declared rust-version)
    find_cargo
    if ! has rustc || ! has cargo; then
        lacks "rustc and cargo, at least $minimum" "$(rustup_commands)"
        return
    fi
    # What rustup leaves in place of a program fails as long as there is no toolchain.
    if ! found=$(cd "$source_dir" && cargo --version >/dev/null 2>&1 && rustc --version 2>/dev/null); then
        if has rustup; then how='rustup default stable'; else how=$(rustup_commands); fi
        lacks "a Rust toolchain, at least $minimum: there are rustc and cargo, but they do not run" "$how"
        return
    fi
    found=$(say "$found" | awk '{ print $2 }')
    if ! is_at_least "$found" "$minimum"; then
        if has rustup; then how='rustup update stable && rustup default stable'; else how=$(rustup_commands); fi
        lacks "rustc $minimum, this is $found" "$how"
    fi
}

check_compiler() {
    # A compiler without the headers of the C library is as good as none.
    printf '#include <stdio.h>\nint main(void) { return puts("") < 0; }\n' >"$scratch/probe.c"
    if ! "${CC:-cc}" -o "$scratch/probe" "$scratch/probe.c" >/dev/null 2>&1; then
        lacks "a C compiler that works (${CC:-cc})" \
            "$(package_command 'gcc libc6-dev' 'gcc glibc-devel' 'gcc' 'gcc musl-dev' 'gcc')"
    fi
}

check_git() {
    minimum=2.39
    if has git; then found=$(git --version | awk '{ print $3 }'); else found=none; fi
    if [ "$found" = none ] || ! is_at_least "$found" "$minimum"; then
        lacks "git $minimum, this is $found" "$(package_command git git git git git)"
    fi
}

check_requirements() {
    check_rust
    check_compiler
    check_git
    if [ "$missing" -ne 0 ]; then fail "nothing was installed; run the commands above and try again"; fi
}

# What does not hinder the installation, but its use.
give_hints() {
    case ":$PATH:" in
    *":$prefix/bin:"*) ;;
    *)
        say "note: git finds the programs only if PATH contains them:"
        say "    export PATH=\"$prefix/bin:\$PATH\""
        ;;
    esac
    if ! has man; then
        say "note: 'git deploy-state --help' needs man:"
        say "    $(package_command man-db man-db man-db mandoc man-db)"
    elif ! PATH=$prefix/bin:$PATH man -w git-deploy-state >/dev/null 2>&1; then
        # Most versions of man look beside each directory of PATH; this one does not.
        say "note: 'git deploy-state --help' finds its page with:"
        say "    export MANPATH=\"$prefix/share/man:\${MANPATH:-}\""
    fi
}

# --- Building into a stage ------------------------------------------------------------------------------------

# Fills $scratch/stage as the prefix will be filled.
stage_all() {
    stage=$scratch/stage
    mkdir -p "$stage/bin" "$stage/share/man/man1" "$stage/share/git-deploy/hooks"
    say "building; the first time this takes some minutes"
    cd "$source_dir"
    cargo build --profile "$profile" --locked -p git-deploy --message-format=json-render-diagnostics >"$scratch/build.json"
    # Cargo says where it put the programs; that depends on the user's configuration.
    sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' "$scratch/build.json" >"$scratch/programs"
    [ -s "$scratch/programs" ] || fail "cargo built no program"
    while IFS= read -r program; do cp "$program" "$stage/bin/"; done <"$scratch/programs"
    cargo run --profile "$profile" --locked -p xtask -- man "$stage/share/man/man1"
    cargo run --profile "$profile" --locked -p xtask -- completions "$scratch/completions"
    stage_completions
    for hook in hooks/*; do
        if [ -f "$hook" ]; then cp "$hook" "$stage/share/git-deploy/hooks/"; fi
    done
    (cd "$stage" && find . -type f | sed 's|^\./||' | sort) >"$scratch/files"
}

# xtask writes a directory for each shell, with the names that the shell looks for.
stage_completions() {
    stage_shell bash share/bash-completion/completions
    stage_shell zsh share/zsh/site-functions
    stage_shell fish share/fish/vendor_completions.d
}

stage_shell() {
    mkdir -p "$stage/$2"
    for file in "$scratch/completions/$1"/*; do
        if [ -f "$file" ]; then cp "$file" "$stage/$2/"; fi
    done
}

# --- Installing and removing ----------------------------------------------------------------------------------

manifest_path=share/git-deploy/install-manifest

# The files of the manifest, one a line; nothing if there is none.
installed_files() {
    if [ -f "$prefix/$manifest_path" ]; then sed -n 's/^file //p' "$prefix/$manifest_path"; fi
}

installed_directories() {
    if [ -f "$prefix/$manifest_path" ]; then sed -n 's/^directory //p' "$prefix/$manifest_path"; fi
}

# $1 a list of files, $2 of directories.
write_manifest() {
    {
        say "# Installed by git-deploy's install.sh, which reads this to uninstall."
        sed 's/^/directory /' "$2"
        sed 's/^/file /' "$1"
    } >"$prefix/$manifest_path.new"
    mv -f "$prefix/$manifest_path.new" "$prefix/$manifest_path"
}

# The directories above a file, the deepest first, without the prefix itself.
directories_above() {
    directory=${1%/*}
    while [ "$directory" != "$1" ]; do
        say "$directory"
        set -- "$directory"
        directory=${1%/*}
    done
}

refuse_foreign_files() {
    while IFS= read -r file; do
        if [ -e "$prefix/$file" ] && ! grep -qxF "$file" "$scratch/old-files"; then
            complain "install.sh: '$prefix/$file' exists and was not installed by this script"
            fail "nothing was installed; if it may go: rm '$prefix/$file'"
        fi
    done <"$scratch/files"
}

install_all() {
    check_requirements
    stage_all
    installed_files >"$scratch/old-files"
    refuse_foreign_files
    installed_directories >"$scratch/directories"
    say "$manifest_path" | cat - "$scratch/files" | while IFS= read -r file; do directories_above "$file"; done |
        sort -u | while IFS= read -r directory; do
        if [ ! -d "$prefix/$directory" ]; then say "$directory"; fi
    done >>"$scratch/directories"
    mkdir -p "$prefix/${manifest_path%/*}"
    sort -u "$scratch/old-files" "$scratch/files" >"$scratch/either"
    write_manifest "$scratch/either" "$scratch/directories"
    while IFS= read -r file; do place "$file"; done <"$scratch/files"
    while IFS= read -r file; do
        if ! grep -qxF "$file" "$scratch/files"; then rm -f "$prefix/$file"; fi
    done <"$scratch/old-files"
    write_manifest "$scratch/files" "$scratch/directories"
    say "installed $(grep -c '^bin/' "$scratch/files") programs in $prefix/bin"
    give_hints
}

# Moves one staged file into place. A rename: whoever runs the old program keeps it whole.
place() {
    case "$1" in
    bin/* | share/git-deploy/hooks/*) mode=755 ;;
    *) mode=644 ;;
    esac
    mkdir -p "$prefix/${1%/*}"
    cp "$scratch/stage/$1" "$prefix/$1.new"
    chmod "$mode" "$prefix/$1.new"
    mv -f "$prefix/$1.new" "$prefix/$1"
}

uninstall_all() {
    if [ ! -f "$prefix/$manifest_path" ]; then
        say "nothing is installed in $prefix"
        return
    fi
    installed_files >"$scratch/old-files"
    installed_directories | sort -r >"$scratch/directories"
    if grep -Eq '^/|(^|/)\.\.(/|$)' "$scratch/old-files" "$scratch/directories"; then
        fail "'$prefix/$manifest_path' names files outside of the prefix; nothing was removed"
    fi
    while IFS= read -r file; do rm -f "$prefix/$file" "$prefix/$file.new"; done <"$scratch/old-files"
    rm -f "$prefix/$manifest_path"
    # Only those that we made, and only when nobody else uses them by now.
    while IFS= read -r directory; do
        rmdir "$prefix/$directory" 2>/dev/null || true
    done <"$scratch/directories"
    say "removed git-deploy from $prefix"
}

# --- The demo -------------------------------------------------------------------------------------------------

heading() { printf '\n# %s\n' "$*"; }

# Prints a command as one would type it, then runs it. An answer of 'no' is part of the story.
show() {
    line='$'
    for word; do
        case "$word" in
        *[!A-Za-z0-9_./:=@,-]* | '') line="$line '$word'" ;;
        *) line="$line $word" ;;
        esac
    done
    say "$line"
    status=0
    "$@" || status=$?
    if [ "$status" -ne 0 ]; then say "(exit code $status)"; fi
}

# Nothing of the user's own git reaches the sample, and nothing of the sample the user's own git.
enter_demo() {
    demo_dir=$(mktemp -d "${TMPDIR:-/tmp}/git-deploy-demo.XXXXXX")
    mkdir "$demo_dir/home" "$demo_dir/shop"
    # shellcheck disable=SC2046 # these are names of variables, one a line
    unset $(git rev-parse --local-env-vars) GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_COMMITTER_NAME \
        GIT_COMMITTER_EMAIL GIT_AUTHOR_DATE GIT_COMMITTER_DATE XDG_CONFIG_HOME
    HOME=$demo_dir/home
    GIT_CONFIG_NOSYSTEM=1
    GIT_CONFIG_GLOBAL=$demo_dir/home/.gitconfig
    GIT_PAGER='cat'
    PATH=$prefix/bin:$PATH
    export HOME GIT_CONFIG_NOSYSTEM GIT_CONFIG_GLOBAL GIT_PAGER PATH
    cd "$demo_dir/shop"
}

write_greeting() {
    cat >deploy/greeting.yaml <<YAML
apiVersion: v1
kind: ConfigMap
metadata:
  name: greeting
data:
  text: $1
YAML
}

write_shop() {
    cat >deploy/shop.yaml <<YAML
apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop
spec:
  replicas: 2
  selector:
    matchLabels: { app: shop }
  template:
    metadata:
      labels: { app: shop }
    spec:
      containers:
        - name: nginx
          image: $1
YAML
}

# A branch from master with one commit; what is to be committed is done by the command behind.
demo_branch() {
    branch=$1 message=$2
    shift 2
    git checkout --quiet -b "$branch" master
    "$@"
    git commit --quiet --all --message "$message"
    git checkout --quiet master
}

demo_repository() {
    heading "A repository with a manifest, made ready for git-deploy"
    show git init --quiet -b master
    git config user.name 'Ada Lovelace'
    git config user.email ada@example.org
    mkdir deploy
    write_greeting Hello
    write_shop nginx:1.27.2
    git add deploy
    git commit --quiet --message 'Open the shop'
    show git deploy-init
    git add --all
    git commit --quiet --message 'Set up git-deploy'

    heading "Three branches: two change the same line, the third wants an image without a fixed version"
    demo_branch login 'Ask visitors to log in' write_greeting 'Hello, please log in'
    demo_branch banner 'Announce the sale' write_greeting 'Hello, everything must go'
    demo_branch moving 'Follow the newest nginx' write_shop nginx:latest
    show git log --oneline --graph --branches
}

demo_success() {
    heading "1. 'login' is ready. 'banner' is nearly so: staged branches are kept rebased, but not deployed"
    show git deploy-state set deployable login
    show git deploy-state set staged banner
    show git deploy-queue
    heading "The head of the queue is rebased, rendered, checked, verified, landed on master and tagged"
    show git deploy
    show git show --no-patch deployment-0001
}

demo_broken() {
    heading "2. 'banner' changes a line that 'login' has changed meanwhile: it cannot be rebased and is broken"
    show git deploy-rebase
    show git deploy-state list
    show git notes --ref=deploy show banner
}

demo_failure() {
    heading "3. 'moving' asks for nginx:latest, which may be another program tomorrow: the deployment fails"
    show git deploy-state set deployable moving
    show git deploy
    show git show --no-patch deployment-0002
    heading "It is staged now, with the reason; master stands where it stood"
    show git deploy-state get moving
    show git notes --ref=deploy show moving
    show git deploy-log
}

# The demo is a promise; a broken one must not look like a kept one.
demo_expect() {
    if [ "$2" != "$3" ]; then fail "the demo went wrong: $1 is '$2' instead of '$3' (look into $demo_dir/shop)"; fi
}

check_demo() {
    subject() { git tag --list --format='%(contents:subject)' "$1"; }
    demo_expect 'deployment-0001' "$(subject deployment-0001)" 'Successfully Deployed'
    demo_expect 'deployment-0002' "$(subject deployment-0002)" 'Failed Deployment'
    demo_expect "the state of 'login'" "$(git deploy-state get login)" deployed
    demo_expect "the state of 'banner'" "$(git deploy-state get banner)" broken
    demo_expect "the state of 'moving'" "$(git deploy-state get moving)" staged
    demo_expect 'master' "$(git log -1 --format=%s master)" 'Ask visitors to log in'
}

demo() {
    enter_demo
    demo_repository
    demo_success
    demo_broken
    demo_failure
    check_demo
    heading "What to look at next"
    say "cd $demo_dir/shop"
    case ":$outer_path:" in
    *":$prefix/bin:"*) ;;
    *) say "export PATH=\"$prefix/bin:\$PATH\"" ;;
    esac
    cat <<'NEXT'
git log --notes=deploy             # the state of each commit, where you read history
git tag -n                         # every deployment and its verdict
git deploy-log                     # the same as a ledger
git deploy-queue                   # who is next, and why somebody waits
git show rendered/default          # what was deployed, as it was
git deploy-state -h                # each command explains itself; --help shows its page
NEXT
}

# --- What was asked for ---------------------------------------------------------------------------------------

misused() {
    complain "install.sh: $*"
    usage >&2
    exit 129
}

# The two exclude each other: to show what is taken away makes no sense.
choose() {
    if [ "$action" != install ] && [ "$action" != "$1" ]; then misused "--demo and --uninstall exclude each other"; fi
    action=$1
}

choose_prefix() {
    [ -n "$1" ] || misused "--prefix needs a directory"
    prefix=$1
}

while [ $# -gt 0 ]; do
    case "$1" in
    --prefix)
        choose_prefix "${2:-}"
        shift
        ;;
    --prefix=*) choose_prefix "${1#--prefix=}" ;;
    --debug) profile=dev ;;
    --demo) choose demo ;;
    --uninstall) choose uninstall ;;
    -h | --help)
        usage
        exit 0
        ;;
    *) misused "unknown argument '$1'" ;;
    esac
    shift
done

[ -n "$prefix" ] || prefix=${HOME:?"install.sh: HOME is not set; use --prefix <dir>"}/.local
case "$prefix" in
/*) ;;
*) prefix=$(pwd)/$prefix ;;
esac
prefix=${prefix%/}
outer_path=$PATH
scratch=$(mktemp -d "${TMPDIR:-/tmp}/git-deploy-install.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

case "$action" in
install) install_all ;;
demo)
    install_all
    demo
    ;;
uninstall) uninstall_all ;;
esac
