# What the first process of a node does, in process, mount and network namespaces of its own: the directory of the
# cluster is its only argument. Says `ready <process id outside>` and then waits for the end of its input. With it
# every process of the node ends, and with these all mounts and interfaces.

set -eu
directory=$1
name=${directory##*/}

# Still the outside's /proc, so this is the id there.
read -r pid _ </proc/self/stat

# The programs share mounts with their pods, and with nobody else.
mount --make-rshared /
mount -t proc proc /proc

# Everything stays where these programs have it by default, but is ours alone.
for place in run var/lib var/log; do
    mkdir -p "$directory/private/$place"
    mount --bind "$directory/private/$place" "/$place"
done
mkdir /run/lock

# A kubelet would set these for the whole machine. It leaves alone what is right already.
pretend() {
    [ -e "/proc/sys/$1" ] || return 0
    mkdir -p "$directory/private/sys/${1%/*}"
    printf '%s\n' "$2" >"$directory/private/sys/$1"
    mount --bind "$directory/private/sys/$1" "/proc/sys/$1"
}
pretend vm/overcommit_memory 1
pretend vm/panic_on_oom 0
pretend kernel/panic 10
pretend kernel/panic_on_oops 1
pretend kernel/keys/root_maxkeys 1000000
pretend kernel/keys/root_maxbytes 25000000

# An API server wants an address that is not loopback, and a way out. Not every kernel has a dummy device.
ip link set lo up
ip link add uplink type bridge
ip address add 10.1.0.1/16 dev uplink
ip link set uplink up
ip route add default via 10.1.0.2

# What runs below these is found and taken away by the supervisor.
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    mkdir "/sys/fs/cgroup/$name"
else
    for root in /sys/fs/cgroup/*; do
        [ -e "$root/cgroup.procs" ] || continue
        # One of them can have two names.
        mkdir -p "$root/$name"
        for file in cpuset.cpus cpuset.mems; do
            [ ! -e "$root/$file" ] || cat "$root/$file" >"$root/$name/$file"
        done
    done
fi

printf 'ready %s\n' "$pid"
cat >/dev/null
