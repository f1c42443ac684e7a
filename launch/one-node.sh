#!/usr/bin/env bash
# One machine, one process a GPU (or PROCESSES of them). Run it again to go on after an interruption.
#
#   launch/one-node.sh RECIPE --data SOURCE --out RUN [alexnet train's other flags]
#   launch/one-node.sh paper --data ~/imagenet --out runs/imagenet --parallel hybrid --variant alexnet-two-tower
#   PROCESSES=2 launch/one-node.sh modern --data ~/pictures --out runs/mine --parallel towers --variant alexnet-two-tower
set -euo pipefail
export TORCH_ELASTIC_SHUTDOWN_TIMEOUT="${TORCH_ELASTIC_SHUTDOWN_TIMEOUT:-110}" # torchrun kills after 30 s, a save may take longer
exec torchrun --standalone --nproc-per-node "${PROCESSES:-gpu}" --max-restarts "${RESTARTS:-3}" \
    -m alexnet train "$@"
