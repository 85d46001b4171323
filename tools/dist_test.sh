#!/usr/bin/env bash
# Measure a checkpoint with several processes of one machine:
#   tools/dist_test.sh CONFIG CHECKPOINT PROCESSES [options of tools/test.py]
CONFIG=$1
CHECKPOINT=$2
PROCESSES=$3

PYTHONPATH="$(dirname "$0")/..":$PYTHONPATH \
    torchrun \
    --nnodes="${NNODES:-1}" \
    --node-rank="${NODE_RANK:-0}" \
    --master-addr="${MASTER_ADDR:-127.0.0.1}" \
    --master-port="${PORT:-29500}" \
    --nproc-per-node="$PROCESSES" \
    "$(dirname "$0")/test.py" "$CONFIG" "$CHECKPOINT" --launcher pytorch \
    "${@:4}"
