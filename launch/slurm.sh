#!/usr/bin/env bash
#SBATCH --job-name=alexnet
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=64
#SBATCH --time=04:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --output=%x-%j.log
#SBATCH --open-mode=append

# sbatch launch/slurm.sh RECIPE --data SOURCE --out RUN [flags]; RUN lies on a disk that all nodes see. One torchrun a
# node, one process a GPU. Two minutes before the time is up the run saves and stops; the same line, or a requeued job,
# goes on with it.
#
#   sbatch --nodes=2 launch/slurm.sh large-batch --data s3://bucket/imagenet --out /share/runs/a
set -euo pipefail
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed -n 1p) # reads all: scontrol must not meet a closed pipe
export NODES=$SLURM_JOB_NUM_NODES HEAD=$head:$((20000 + SLURM_JOB_ID % 20000)) JOB=$SLURM_JOB_ID
exec srun --kill-on-bad-exit=1 --cpus-per-task "${SLURM_CPUS_PER_TASK:-1}" \
    "${SLURM_SUBMIT_DIR:-.}/launch/several-nodes.sh" "$@"
