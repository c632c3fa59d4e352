# shellcheck shell=bash
# The man pages that xtask makes. Sourced by tests/run.

part() {
    if ! has groff; then
        skipped man-pages "groff is not installed"
        return
    fi
    local pages=$1/man page complaints count=0
    mkdir -p "$pages"
    if ! cargo run --quiet --locked -p xtask -- man "$pages"; then
        failed man-pages "xtask cannot make them"
        return
    fi
    for page in "$pages"/*.1; do
        [ -f "$page" ] || continue
        count=$((count + 1))
        complaints=$(groff -man -ww -z -Tutf8 -K utf8 "$page" 2>&1) || true
        if [ -z "$complaints" ]; then
            passed 1
        else
            printf '%s\n' "$complaints"
            failed "$(basename "$page")" "groff complains"
        fi
    done
    if [ "$count" -eq 0 ]; then failed man-pages "xtask made none"; fi
}
