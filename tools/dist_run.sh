#!/usr/bin/env bash
# Run a script in several processes: tools/dist_run.sh GPUS SCRIPT [arguments]
# Used by dist_train.sh and dist_test.sh. Set PORT only on several nodes.
set -euo pipefail
if [ $# -lt 2 ]; then
    sed -n '2,3s/^# //p' "$0" >&2
    exit 2
fi
NNODES=${NNODES:-1}
NODE_RANK=${NODE_RANK:-0}
MASTER_ADDR=${MASTER_ADDR:-127.0.0.1}
exec python -m mmgab.engine.launch ${PORT:+--master_port="$PORT"} \
    --nnodes="$NNODES" \
    --node_rank="$NODE_RANK" \
    --master_addr="$MASTER_ADDR" \
    --nproc_per_node="$1" \
    "$2" "${@:3}" --launcher pytorch
