#!/usr/bin/env bash
# Train with several processes of one machine:
#   tools/dist_train.sh CONFIG PROCESSES [options of tools/train.py]
# With GPUs, one process for each; without, processes on the CPU (gloo).
# Several machines: the same call on each, with NNODES, NODE_RANK, MASTER_ADDR.
CONFIG=$1
PROCESSES=$2

PYTHONPATH="$(dirname "$0")/..":$PYTHONPATH \
    torchrun \
    --nnodes="${NNODES:-1}" \
    --node-rank="${NODE_RANK:-0}" \
    --master-addr="${MASTER_ADDR:-127.0.0.1}" \
    --master-port="${PORT:-29500}" \
    --nproc-per-node="$PROCESSES" \
    "$(dirname "$0")/train.py" "$CONFIG" --launcher pytorch "${@:3}"
