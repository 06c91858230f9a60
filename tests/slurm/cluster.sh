#!/usr/bin/env bash
# A real SLURM on one machine: munged, slurmctld and one slurmd per virtual node.
#   cluster.sh start|stop|status|env|kill-node NAME|start-node NAME
#   needs: apt-get install -y --no-install-recommends slurm-wlm munge
# All files (keys, config, state, logs, pids) are under $SLURM_LOCAL_DIR; /etc and /run are not used.
# After "start":  eval "$(cluster.sh env)"  and then sinfo, sbatch, snakemake --executor slurm ...
set -u
DIR=${SLURM_LOCAL_DIR:-${TMPDIR:-/tmp}/slurm_local}
PORT=${SLURM_LOCAL_PORT:-17100}   # of slurmctld; the nodes use the ports from PORT + 10
CPU_NODES="cpu1 cpu2"
GPU_NODES="gpu1"                  # with one simulated GPU
NODES="$CPU_NODES $GPU_NODES"
CPUS=4                            # that each node claims to have
MEM_MB=16000
PATH=$PATH:/usr/sbin
export SLURM_CONF=$DIR/slurm.conf

alive() {  # alive NAME: the recorded pid is running and is still that program
  local pid
  pid=$(cat "$DIR/pid/$1" 2>/dev/null) && [ -r "/proc/$pid/cmdline" ] &&
    tr '\0' ' ' < "/proc/$pid/cmdline" | grep -qF -- "$DIR"
}

launch() {  # launch NAME COMMAND...: start in a new session and record the pid
  local name=$1
  shift
  alive "$name" && return 0
  setsid nohup "$@" > "$DIR/log/$name.out" 2>&1 < /dev/null &
  echo $! > "$DIR/pid/$name"
}

end() {  # end NAME: kill the recorded pid only
  alive "$1" || { rm -f "$DIR/pid/$1"; return 0; }
  local pid
  pid=$(cat "$DIR/pid/$1")
  kill "$pid" 2>/dev/null
  for _ in $(seq 50); do alive "$1" || break; sleep 0.1; done
  alive "$1" && kill -9 "$pid" 2>/dev/null
  rm -f "$DIR/pid/$1"
}

descendants() {  # descendants PID: the process and all processes below it
  echo "$1"
  for child in $(cat "/proc/$1/task/"*/children 2>/dev/null); do descendants "$child"; done
}

# Restart slurmd after a crash, as systemd does: SLURM 22.05 occasionally corrupts its memory.
SUPERVISE='until slurmd -D -N "$1" -f "$2"; do echo "slurmd of $1 crashed"; sleep 1; done'

start_node() { launch "slurmd.$1" bash -c "$SUPERVISE" bash "$1" "$SLURM_CONF"; }

kill_node() {  # as after a power cut: slurmd and its supervisor, slurmstepd and all processes of jobs
  local pids="" step
  alive "slurmd.$1" && pids=$(descendants "$(cat "$DIR/pid/slurmd.$1")")
  for step in $(pgrep -f "^slurmstepd: "); do
    # The process name does not contain the node, but the open log does.
    ls -l "/proc/$step/fd" 2>/dev/null | grep -qF "$DIR/log/slurmd.$1.log" && pids="$pids $(descendants "$step")"
  done
  [ -z "$pids" ] || kill -9 $pids 2>/dev/null
  rm -f "$DIR/pid/slurmd.$1"
}

configure() {
  mkdir -p "$DIR"/{pid,log,state,munge,bin} && chmod 755 "$DIR" && chmod 711 "$DIR/munge" || return 1
  [ -s "$DIR/munge/key" ] || (umask 077; head -c 128 /dev/urandom > "$DIR/munge/key")
  local host me node port=$((PORT + 10)) name gres
  host=$(hostname -s)
  me=$(id -un)
  cat > "$SLURM_CONF" <<CONF
ClusterName=local
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$PORT
SlurmUser=$me
SlurmdUser=$me
AuthType=auth/munge
# a requeued job starts only after its first credential has expired
AuthInfo=socket=$DIR/munge/socket,cred_expire=5
StateSaveLocation=$DIR/state
SlurmdSpoolDir=$DIR/spool.%n
SlurmctldPidFile=$DIR/state/slurmctld.pid
SlurmdPidFile=$DIR/state/slurmd.%n.pid
SlurmctldLogFile=$DIR/log/slurmctld.log
SlurmdLogFile=$DIR/log/slurmd.%n.log
# no cgroups, no systemd: the processes of a job are those of its process group
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc=$DIR/log/jobcomp.txt
MpiDefault=none
PropagateResourceLimits=NONE
ReturnToService=2
SlurmdTimeout=10
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
# the nodes may claim more CPUs and memory than this machine has
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=2,bf_interval=2
# squeue and scontrol keep finished jobs, since there is no sacct without a database
MinJobAge=3600
InactiveLimit=0
KillWait=5
GresTypes=gpu
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
CONF
  # Snakemake's plugins remove SLURM_CONF from the environment; these wrappers set it again.
  for name in sinfo squeue sbatch srun scancel scontrol sacct sacctmgr; do
    printf '#!/bin/sh\nSLURM_CONF=%s exec %s "$@"\n' "'$SLURM_CONF'" "$(PATH=${PATH//$DIR\/bin:/} command -v "$name")" > "$DIR/bin/$name"
    chmod 755 "$DIR/bin/$name"
  done
  : > "$DIR/gres.conf"
  for node in $NODES; do
    gres=""
    case " $GPU_NODES " in
      *" $node "*) gres=" Gres=gpu:1"; echo "NodeName=$node Name=gpu File=/dev/null" >> "$DIR/gres.conf" ;;
    esac
    echo "NodeName=$node NodeHostname=$host NodeAddr=127.0.0.1 Port=$port CPUs=$CPUS RealMemory=$MEM_MB State=UNKNOWN$gres" >> "$SLURM_CONF"
    mkdir -p "$DIR/spool.$node"
    port=$((port + 1))
  done
  echo "PartitionName=cpu Nodes=${CPU_NODES// /,} Default=YES MaxTime=INFINITE State=UP" >> "$SLURM_CONF"
  echo "PartitionName=gpu Nodes=${GPU_NODES// /,} MaxTime=INFINITE State=UP GraceTime=30" >> "$SLURM_CONF"
  echo "PartitionName=urgent Nodes=${GPU_NODES// /,} MaxTime=INFINITE State=UP PriorityTier=2" >> "$SLURM_CONF"
}

start() {
  local command node
  for command in munged slurmctld slurmd sinfo; do
    command -v "$command" > /dev/null || { echo "cluster.sh: $command is missing: apt-get install -y --no-install-recommends slurm-wlm munge" >&2; return 1; }
  done
  configure || return 1
  launch munged munged --foreground --force --key-file="$DIR/munge/key" --socket="$DIR/munge/socket" --pid-file="$DIR/munge/pid" --log-file="$DIR/munge/log" --seed-file="$DIR/munge/seed" --num-threads=2
  for _ in $(seq 50); do [ -S "$DIR/munge/socket" ] && break; sleep 0.1; done
  launch slurmctld slurmctld -D -f "$SLURM_CONF"
  for node in $NODES; do start_node "$node"; done
  for _ in $(seq 100); do
    [ "$(sinfo -h -N -t idle,alloc,mix -o '%N' 2>/dev/null | sort -u | wc -l)" -eq "$(wc -w <<< "$NODES")" ] && { status; return 0; }
    sleep 0.3
  done
  echo "cluster.sh: not every node came up; see $DIR/log" >&2
  status
  return 1
}

stop() {
  local node
  alive slurmctld && { timeout 10 scancel --user="$(id -un)" 2>/dev/null; sleep 1; }
  for node in $NODES; do kill_node "$node"; done
  end slurmctld
  end munged
}

status() {
  local name ok=0
  for name in munged slurmctld $(printf 'slurmd.%s ' $NODES); do
    if alive "$name"; then echo "$name up (pid $(cat "$DIR/pid/$name"))"; else echo "$name down"; ok=1; fi
  done
  [ $ok = 0 ] && timeout 10 sinfo -o "%P %D %t %N %c %m %G"
  return $ok
}

case ${1:-} in
  start | stop | status) "$1" ;;
  env) echo "export SLURM_CONF='$SLURM_CONF' PATH='$DIR/bin':\$PATH" ;;
  kill-node) kill_node "$2" ;;
  start-node) start_node "$2" ;;
  *) echo "usage: $0 start|stop|status|env|kill-node NAME|start-node NAME" >&2; exit 2 ;;
esac
