#!/usr/bin/env bash
# Several machines: run this same line on each. RUN lies on a disk that all of them see.
#
#   NODES=4 HEAD=node0:29500 launch/several-nodes.sh large-batch https://host/imagenet /share/runs/a --parallel data
#
# HEAD is a host of the four and a free port on it; machines may come in any order.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/what.sh"
: "${NODES:?how many machines}" "${HEAD:?host:port of one of the machines}"
what "$@"
exec torchrun --nnodes "$NODES" --nproc-per-node "${PROCESSES:-gpu}" --max-restarts "${RESTARTS:-3}" \
    --rdzv-backend c10d --rdzv-endpoint "$HEAD" --rdzv-id "${JOB:-alexnet}" \
    -m alexnet train "${WHAT[@]}"
