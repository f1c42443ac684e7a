#!/usr/bin/env bash
# Several machines: run this same line on each; run it again, on all or on one that failed, to go on. RUN lies on a disk
# that all of them see.
#
#   NODES=4 HEAD=node0:29500 launch/several-nodes.sh large-batch --data https://host/imagenet --out /share/runs/a
#
# HEAD is a host of the four and a free port on it; machines may come in any order, within WAIT seconds.
set -euo pipefail
export TORCH_ELASTIC_SHUTDOWN_TIMEOUT="${TORCH_ELASTIC_SHUTDOWN_TIMEOUT:-110}" # torchrun kills after 30 s, a save may take longer
export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 # or else a machine whose torchrun was lost cannot come back (torch 2.13)
: "${NODES:?how many machines}" "${HEAD:?host:port of one of the machines}"
exec torchrun --nnodes "$NODES" --nproc-per-node "${PROCESSES:-gpu}" --max-restarts "${RESTARTS:-3}" \
    --rdzv-backend c10d --rdzv-endpoint "$HEAD" --rdzv-id "${JOB:-alexnet}" --rdzv-conf "join_timeout=${WAIT:-600}" \
    -m alexnet train "$@"
