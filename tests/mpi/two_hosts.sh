#!/usr/bin/env bash
# Runs a program on two "hosts", each with a network namespace and a host name of its own, under Open MPI over TCP.
#   tests/mpi/two_hosts.sh RATE RANKS PROGRAM [ARGUMENT...]
# RATE is that of the wire between them, as tc(8) writes it, such as 1gbit; RANKS is how many each host has. NA_NETEM in the
# environment, such as "delay 1ms loss 1%", makes the wire slow or lossy. Needs root, ip, tc, and a kernel with network
# namespaces (and netem); without them it says "skipped: " and why.
set -euo pipefail

# What mpirun calls in the place of ssh: two_hosts.sh --agent HOST COMMAND...
if [[ ${1:-} == --agent ]]; then
  shift 2
  exec ip netns exec "${NA_NAMESPACE}_two" unshare --uts bash -c 'hostname na-two && eval "$*"' agent "$@"
fi

rate=$1 ranks=$2
shift 2
skip() {
  echo "skipped: $1"
  exit 0
}
((EUID == 0)) || skip "two hosts need root"
for tool in ip tc mpirun unshare; do
  command -v "$tool" > /dev/null || skip "there is no $tool"
done
mpirun --version | grep -q "Open MPI" || skip "mpirun is not Open MPI's"

export NA_NAMESPACE="na_$$"
one="${NA_NAMESPACE}_one" two="${NA_NAMESPACE}_two"
remove() { for name in "$one" "$two"; do ip netns del "$name" 2> /dev/null || true; done; }
trap remove EXIT
{ ip netns add "$one" && ip netns add "$two" && ip link add "na$$a" netns "$one" type veth peer name "na$$b" netns "$two"; } \
  2> /dev/null || skip "no network namespaces can be made here"
host() { # host NAMESPACE DEVICE ADDRESS
  ip netns exec "$1" ip addr add "$3/24" dev "$2"
  ip netns exec "$1" ip link set lo up
  ip netns exec "$1" ip link set "$2" up
  ip netns exec "$1" tc qdisc add dev "$2" root handle 1: tbf rate "$rate" burst 256kb latency 50ms
  [[ -z ${NA_NETEM:-} ]] || # in words
    ip netns exec "$1" tc qdisc add dev "$2" parent 1:1 handle 10: netem $NA_NETEM 2> /dev/null || skip "the kernel has no netem"
}
host "$one" "na$$a" 10.203.0.1
host "$two" "na$$b" 10.203.0.2

self=$(realpath "${BASH_SOURCE[0]}")
ip netns exec "$one" unshare --uts bash -c 'hostname na-one && exec "$@"' mpirun \
  mpirun --allow-run-as-root --mca plm_rsh_agent "$self --agent" --mca btl tcp,self --mca plm_rsh_no_tree_spawn 1 \
  --bind-to none --host "10.203.0.1:$ranks,10.203.0.2:$ranks" -n $((2 * ranks)) "$@"
