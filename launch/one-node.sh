#!/usr/bin/env bash
# One machine, one process a GPU (or PROCESSES of them). Run it again to go on after an interruption.
#
#   launch/one-node.sh RECIPE SOURCE RUN [alexnet train's other flags]
#   launch/one-node.sh paper ~/imagenet runs/imagenet --parallel hybrid --variant alexnet-two-tower
#   PROCESSES=2 launch/one-node.sh modern ~/pictures runs/mine --parallel towers --variant alexnet-two-tower
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/what.sh"
what "$@"
exec torchrun --standalone --nproc-per-node "${PROCESSES:-gpu}" --max-restarts "${RESTARTS:-3}" \
    -m alexnet train "${WHAT[@]}"
