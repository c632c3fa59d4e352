# shellcheck shell=bash
# The scenarios with a real node: images are pulled and pods run. Sourced by tests/run.

# shellcheck source=/dev/null
source tests/parts/cluster.sh

# Debian's packages without which the scenarios are skipped; the testkit knows what it needs of them.
node_packages=(
    containerd runc containernetworking-plugins docker-registry buildah busybox-static iptables conntrack iproute2
    python3-flask
)

# Only on a machine that is there for this. Where it fails the scenarios say themselves what is missing.
install_node_packages() {
    if [ "${CI:-}" != true ] || [ "$(id -u)" -ne 0 ] || ! has apt-get; then return 0; fi
    local package missing=()
    for package in "${node_packages[@]}"; do
        dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
            missing+=("$package")
    done
    if [ ${#missing[@]} -eq 0 ]; then return 0; fi
    export DEBIAN_FRONTEND=noninteractive
    if ! apt-get update || ! apt-get install -y --no-install-recommends "${missing[@]}"; then
        printf 'cannot install: %s\n' "${missing[*]}" >&2
    fi
}

part() {
    # Pods really run there, and the time that they have is the deployments': no more at once than there are cores.
    local name arguments=() RUST_TEST_THREADS
    RUST_TEST_THREADS=$(getconf _NPROCESSORS_ONLN)
    export RUST_TEST_THREADS
    install_node_packages
    build_programs node "$1" || return 0
    while read -r name; do arguments+=(--test "$name"); done < <(scenarios uses_nodes)
    run_cargo_test "$1/node.log" --workspace "${arguments[@]}"
    unset GIT_DEPLOY_TEST_CLUSTER
}
