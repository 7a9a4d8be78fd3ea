#!/usr/bin/env bash
# deploy/slurm: three shards of an archive, stopped midway and queued again: tests/deploy/slurm.sh LONGSUM
# First as Slurm would start them, then on a Slurm of this machine alone, if Debian's can be had.
set -euo pipefail
LONGSUM=$(realpath "$1")
export LONGSUM
cd "$(dirname "$0")/../.."
script=$PWD/deploy/slurm/longsum.sbatch
tmp=$(mktemp -d)
started=() job=
finish() {
  if [ -n "$job" ]; then
    with_slurm bin/scancel --quiet "$job" 2>/dev/null || true
    wait_until 15 none_is_left || true
  fi
  for pid in ${started[@]+"${started[@]}"}; do kill "$pid" 2>/dev/null || true; done
  for pid in ${started[@]+"${started[@]}"}; do wait "$pid" 2>/dev/null || true; done
  rm -rf "$tmp"
}
trap finish EXIT
trap 'exit 143' TERM

# Thirty short documents, and one that takes some seconds.
mkdir -p "$tmp/archive/more"
for i in $(seq 30); do
  sed "s/year/year $i/g" samples/lighthouse.txt >"$tmp/archive/more/a name $i.txt"
done
for i in $(seq 12); do sed "s/ / $i /60" samples/flood-inquiry.typ; done >"$tmp/archive/long.txt"
(cd "$tmp/archive" && find . -type f | sort) >"$tmp/documents"

reports_in() { (cd "$1" && find . -path ./.longsum -prune -o -name '*.txt.json' -print | sed 's/\.json$//' | sort); }
is_underway() { [ -n "$(find "$1/.longsum" -type f -size +0 2>/dev/null)" ]; }
wait_until() { # SECONDS COMMAND...
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    if [ "$SECONDS" -ge "$deadline" ]; then
      echo "waited in vain for: $*" >&2
      return 1
    fi
    sleep 0.1
  done
}

echo '== as Slurm would start them'
mkdir "$tmp/bin"
printf '#!/bin/sh\necho "$*" >>"%s/scontrol"\n' "$tmp" >"$tmp/bin/scontrol"
chmod +x "$tmp/bin/scontrol"
shard() { # NUMBER OUT
  SLURM_ARRAY_TASK_ID=$1 SLURM_ARRAY_TASK_MIN=1 SLURM_ARRAY_TASK_MAX=3 SLURM_ARRAY_TASK_STEP=1 \
    SLURM_ARRAY_TASK_COUNT=3 SLURM_ARRAY_JOB_ID=100 SLURM_JOB_ID=10$1 SLURM_CPUS_PER_TASK=2 \
    PATH="$tmp/bin:$PATH" exec bash "$script" "$tmp/archive" "$2" --length short 2>"$2.log"
}
n_stopped=0
for i in 1 2 3; do
  (shard "$i" "$tmp/out-$i") &
  pid=$!
  started+=("$pid")
  has_begun() { ! kill -0 "$pid" 2>/dev/null || is_underway "$tmp/out-$i"; }
  wait_until 60 has_begun
  sleep 0.5
  kill -USR1 "$pid" 2>/dev/null || true
  status=0
  wait "$pid" || status=$?
  if [ "$status" -eq 143 ]; then
    n_stopped=$((n_stopped + 1))
    grep -qx "requeue 10$i" "$tmp/scontrol"
    status=0
    (SLURM_RESTART_COUNT=1 shard "$i" "$tmp/out-$i") || status=$?
  fi
  if [ "$status" -ne 0 ]; then
    echo "shard $i ended with $status" >&2
    cat "$tmp/out-$i.log" >&2
    exit 1
  fi
done
[ "$n_stopped" -gt 0 ]
[ "$(wc -l <"$tmp/scontrol")" -eq "$n_stopped" ]
for i in 1 2 3; do
  reports_in "$tmp/out-$i" >"$tmp/of-$i"
  [ -s "$tmp/of-$i" ]
done
# As many as there are, none twice.
sort "$tmp"/of-? | diff "$tmp/documents" -
echo "3 shards, $n_stopped stopped and queued again: every document exactly once"

echo '== on a Slurm'
slurm=target/deploy/slurm
fetch() {
  mkdir -p "$slurm.new" && cd "$slurm.new" &&
    apt-get -q download slurm-client slurmctld slurmd slurm-wlm-basic-plugins libhwloc15 liblua5.1-0 libmunge2 &&
    for package in *.deb; do dpkg -x "$package" .; done
}
if [ ! -d "$slurm" ]; then
  rm -rf "$slurm.new"
  # Unpacked, not installed.
  (fetch || { apt-get -q update && fetch; }) >"$tmp/fetched" 2>&1 || true
  if [ ! -x "$slurm.new/usr/sbin/slurmctld-wlm" ]; then
    echo 'skipped: Slurm could not be fetched'
    exit 0
  fi
  mv "$slurm.new" "$slurm"
fi
slurm=$PWD/$slurm
lib=$slurm/usr/lib/x86_64-linux-gnu
mkdir "$tmp/state" "$tmp/spool"
read -r port_of_ctl port_of_node < <(python3 -c '
import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(s.getsockname()[1] for s in sockets))')
export SLURM_CONF=$tmp/slurm.conf
cat >"$SLURM_CONF" <<CONF
ClusterName=test
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$port_of_ctl
SlurmdPort=$port_of_node
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/none
CredType=cred/none
PluginDir=$lib/slurm-wlm
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
StateSaveLocation=$tmp/state
SlurmdSpoolDir=$tmp/spool
SlurmctldPidFile=$tmp/ctl.pid
SlurmdPidFile=$tmp/node.pid
SlurmctldLogFile=$tmp/ctl.log
SlurmdLogFile=$tmp/node.log
KillWait=5
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
with_slurm() { LD_LIBRARY_PATH=$lib:$lib/slurm-wlm "$slurm/usr/$1" "${@:2}"; }
is_up() { with_slurm bin/sinfo --noheader --states=idle 2>/dev/null | grep -q idle; }
daemon() { LD_LIBRARY_PATH=$lib:$lib/slurm-wlm exec "$slurm/usr/sbin/$1" -D "${@:2}"; }
daemon slurmctld-wlm -c >"$tmp/ctl.out" 2>&1 &
started+=("$!")
daemon slurmd-wlm -N "$(hostname -s)" -d "$slurm/usr/sbin/slurmstepd-wlm" >"$tmp/node.out" 2>&1 &
started+=("$!")
if ! wait_until 20 is_up; then
  tail -n 5 "$tmp"/*.out
  echo 'skipped: Slurm does not start here'
  exit 0
fi

out=$tmp/out
job=$(cd "$tmp" && with_slurm bin/sbatch --parsable --array=1-3 --cpus-per-task=1 --mem=0 \
  --export="ALL,LD_LIBRARY_PATH=$lib:$lib/slurm-wlm,PATH=$slurm/usr/bin:$PATH" \
  "$script" "$tmp/archive" "$out" --length short)
tasks() { with_slurm bin/squeue --noheader --array --format='%i %T'; }
none_runs() { ! tasks | grep -qv PENDING; }
none_is_left() { [ -z "$(tasks)" ]; }
is_requeued() { grep -q 'goes back to the queue' "$tmp"/longsum-"$job"_*.log; }
wait_until 60 is_underway "$out"
sleep 0.5
tasks
for task in $(tasks | sed -n 's/ RUNNING$//p'); do
  with_slurm bin/scancel --signal=USR1 --batch "$task" || true
done
wait_until 60 is_requeued
wait_until 60 none_runs
tasks
# Slurm holds back what was queued again, for two minutes.
for task in $(tasks | sed 's/ .*//'); do with_slurm bin/scontrol update JobId="$task" StartTime=now; done
wait_until 120 none_is_left
reports_in "$out" | diff "$tmp/documents" - || { cat "$tmp"/longsum-*.log; exit 1; }
echo 'every document'
