#!/usr/bin/env bash
# The lab: one router and three nodes on two subnets, in network namespaces.
#
#   lab.sh up      lay it out, start everything, wait, show what came of it
#   lab.sh down    end it and remove it
#
#  k8s-ctr 192.168.10.100 ─┐                        ┌─ k8s-w0 192.168.20.100
#                          ├─ 192.168.10.0/24 ─ router ─ 192.168.20.0/24
#  k8s-w1  192.168.10.101 ─┘  .10.200          .20.200
#
# LAB_ROUTER=frr      FRR in the router's place, to compare
# LAB_PROFILE=release cargo's profile of the programs (default: debug)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export PATH="$PATH:/usr/sbin:/sbin"

readonly run=lab-run
readonly config=examples/lab/router.frr.conf
readonly player=${LAB_ROUTER:-holdfast}
readonly profile=${LAB_PROFILE:-debug}
readonly target=${CARGO_TARGET_DIR:-target}
readonly deadline=90
readonly vip=172.16.1.1
readonly port=8080
readonly connections=100

# name address gateway pod-network
readonly nodes=(
  "k8s-ctr 192.168.10.100 192.168.10.200 172.20.0.0/24"
  "k8s-w1 192.168.10.101 192.168.10.200 172.20.1.0/24"
  "k8s-w0 192.168.20.100 192.168.20.200 172.20.2.0/24"
)
readonly namespaces=(hf-router hf-subnet10 hf-client hf-k8s-ctr hf-k8s-w1 hf-k8s-w0)

fail() {
  echo "lab: $*" >&2
  exit 1
}

# ----- processes ------------------------------------------------------------

# start NAMESPACE NAME COMMAND...: leaves COMMAND running, its log and its
# process ID in the run directory.
start() {
  local namespace=$1 name=$2
  shift 2
  setsid ip netns exec "$namespace" "$@" </dev/null >>"$run/$name.log" 2>&1 &
  echo "$namespace $!" >"$run/$name.pid"
  disown
}

# Whether the process of a file still runs. One whose ID was reused is not in
# the namespace that it was started in.
alive() {
  local namespace pid
  read -r namespace pid <"$1"
  ip netns pids "$namespace" 2>/dev/null | grep -qx "$pid"
}

signal() {
  local pid
  read -r _ pid <"$2"
  kill "-$1" "$pid" 2>/dev/null || true
}

# Ends the processes of the run directory, by force if they take too long.
stop_all() {
  local file
  for file in "$run"/*.pid; do
    if [ -e "$file" ] && alive "$file"; then
      signal TERM "$file"
    fi
  done
  for file in "$run"/*.pid; do
    [ -e "$file" ] || continue
    for _ in $(seq 50); do
      alive "$file" || break
      sleep 0.1
    done
    if alive "$file"; then
      signal KILL "$file"
    fi
  done
}

# wait_until WHAT LOG COMMAND...: looks until COMMAND succeeds.
wait_until() {
  local what=$1 log=$2 end=$((SECONDS + deadline))
  shift 2
  until "$@" >/dev/null 2>&1; do
    if [ "$SECONDS" -ge "$end" ]; then
      echo "lab: no $what within $deadline seconds; the end of $log:" >&2
      tail -n 20 "$log" >&2 || true
      exit 1
    fi
    sleep 0.2
  done
}

# ----- the network ----------------------------------------------------------

# link NAMESPACE INTERFACE NAMESPACE INTERFACE
link() {
  ip link add "$2" netns "$1" type veth peer name "$4" netns "$3"
  ip -n "$1" link set "$2" up
  ip -n "$3" link set "$4" up
}

lay_out() {
  local namespace name address gateway
  for namespace in "${namespaces[@]}"; do
    ip netns add "$namespace"
    ip -n "$namespace" link set lo up
  done
  ip -n hf-subnet10 link add subnet10 type bridge
  ip -n hf-subnet10 link set subnet10 up
  link hf-router eth1 hf-subnet10 router
  link hf-router eth2 hf-k8s-w0 eth0
  link hf-router eth3 hf-client eth0
  link hf-subnet10 k8s-ctr hf-k8s-ctr eth0
  link hf-subnet10 k8s-w1 hf-k8s-w1 eth0
  for name in router k8s-ctr k8s-w1; do
    ip -n hf-subnet10 link set "$name" master subnet10
  done
  ip -n hf-router addr add 192.168.10.200/24 dev eth1
  ip -n hf-router addr add 192.168.20.200/24 dev eth2
  ip -n hf-router addr add 192.168.30.200/24 dev eth3
  ip -n hf-router link add loop1 type veth peer name loop1-end
  ip -n hf-router link set loop1-end up
  ip -n hf-router link set loop1 up
  ip -n hf-router addr add 10.10.1.200/24 dev loop1
  ip netns exec hf-router sysctl -qw net.ipv4.ip_forward=1 \
    net.ipv4.fib_multipath_hash_policy=1 net.ipv4.conf.all.rp_filter=0
  for node in "${nodes[@]}"; do
    read -r name address gateway _ <<<"$node"
    ip -n "hf-$name" addr add "$address/24" dev eth0
    ip -n "hf-$name" route add default via "$gateway"
    ip -n "hf-$name" addr add "$vip/32" dev lo
  done
  ip -n hf-client addr add 192.168.30.100/24 dev eth0
  ip -n hf-client route add default via 192.168.30.200
}

# ----- the nodes ------------------------------------------------------------

node_gobgp() {
  local name=$1
  shift
  ip netns exec "hf-$name" gobgp "$@"
}

start_nodes() {
  local name address gateway pods
  for node in "${nodes[@]}"; do
    read -r name address gateway pods <<<"$node"
    cat >"$run/$name.toml" <<EOF
[global.config]
as = 65001
router-id = "$address"
[[neighbors]]
[neighbors.config]
neighbor-address = "$gateway"
peer-as = 65000
[neighbors.timers.config]
connect-retry = 5
idle-hold-time-after-reset = 5
EOF
    start "hf-$name" "$name" gobgpd --pprof-disable --api-hosts 127.0.0.1:50051 -f "$run/$name.toml"
    start "hf-$name" "$name-service" \
      socat "TCP-LISTEN:$port,bind=$vip,fork,reuseaddr" "SYSTEM:echo $name"
  done
  for node in "${nodes[@]}"; do
    read -r name _ _ pods <<<"$node"
    wait_until "answer of $name's gobgpd" "$run/$name.log" node_gobgp "$name" global
    node_gobgp "$name" global rib add "$pods" origin igp
    node_gobgp "$name" global rib add "$vip/32" origin igp
  done
}

# ----- the router -----------------------------------------------------------

start_router() {
  case $player in
    holdfast)
      start hf-router bgpd "$target/$profile/bgpd" -f "$config" --socket "$run/bgpd.sock"
      shell=("$target/$profile/vtysh" --socket "$run/bgpd.sock")
      wait_until "answer of bgpd" "$run/bgpd.log" "${shell[@]}" -c "show version"
      ;;
    frr)
      start_frr
      ;;
    *) fail "LAB_ROUTER is holdfast or frr, not $player" ;;
  esac
}

start_frr() {
  local directory daemon
  directory=$(pwd)/$run/frr
  mkdir -m 777 "$directory"
  echo "service integrated-vtysh-config" >"$directory/vtysh.conf"
  for daemon in zebra bgpd; do
    : >"$directory/$daemon.conf"
    start hf-router "$daemon" "/usr/lib/frr/$daemon" -P 0 --log stdout \
      --vty_socket "$directory" -z "$directory/zserv.api" \
      -i "$directory/$daemon.pid" -f "$directory/$daemon.conf"
    wait_until "socket of $daemon" "$run/$daemon.log" test -S "$directory/$daemon.vty"
  done
  shell=(/usr/bin/vtysh --vty_socket "$directory" --config_dir "$directory")
  "${shell[@]}" -f "$config"
}

converged() {
  local name
  "${shell[@]}" -c "show ip bgp $vip/32" | grep -q "3 available" || return 1
  # Three pod networks and the virtual address, in the kernel.
  [ "$(ip -n hf-router -4 route show proto bgp | grep -c '^172\.')" -eq 4 ] || return 1
  for node in "${nodes[@]}"; do
    read -r name _ <<<"$node"
    node_gobgp "$name" global rib 10.10.1.0/24 | grep -q 10.10.1.0/24 || return 1
  done
}

show_spread() {
  echo
  echo "--- $connections TCP connections from a client to $vip:$port, by the node that answered"
  ip netns exec hf-client bash -c '
    for _ in $(seq "$1"); do
      exec 3<>"/dev/tcp/$2/$3" && read -r name <&3 && echo "$name"
      exec 3>&-
    done' spread "$connections" "$vip" "$port" | sort | uniq -c
}

show() {
  echo
  echo "--- $1"
  "${shell[@]}" -c "$1"
}

# ----- commands -------------------------------------------------------------

up() {
  [ "$(id -u)" -eq 0 ] || fail "needs root, for network namespaces"
  tests/need-packages.sh ip:iproute2 sysctl:procps gobgpd:gobgpd gobgp:gobgpd socat:socat
  case $player in
    holdfast) build ;;
    frr) tests/need-packages.sh /usr/lib/frr/bgpd:frr ;;
  esac
  down
  mkdir "$run"
  lay_out
  start_nodes
  start_router
  wait_until "convergence" "$run/bgpd.log" converged
  show "show ip bgp summary"
  show "show ip bgp"
  show "show ip bgp $vip/32"
  echo
  echo "--- the kernel's routes: ip -n hf-router route show proto bgp"
  ip -n hf-router -4 route show proto bgp
  show_spread
  cat <<EOF

The lab is up, with $player as the router. To look around:
  ${shell[*]}
  ip netns exec hf-k8s-ctr gobgp global rib
The logs are in $run/. To end it: make lab-down
EOF
}

build() {
  local flags=()
  [ "$profile" = release ] && flags=(--release)
  cargo build "${flags[@]}" -p holdfast-bgpd -p vtysh --bins
}

down() {
  local namespace
  stop_all
  for namespace in "${namespaces[@]}"; do
    if [ -e "/run/netns/$namespace" ]; then
      ip netns del "$namespace"
    fi
  done
  rm -rf "$run"
}

case ${1:-} in
  up) up ;;
  down) down ;;
  *) fail "usage: lab.sh up|down" ;;
esac
