#!/usr/bin/env bash
# Train with several processes: tools/dist_train.sh CONFIG GPUS [arguments of train.py]
# Several nodes: set NNODES, NODE_RANK and MASTER_ADDR (and PORT, 29500 by default) on each.
# Without a GPU, GPUS is the number of processes on the CPU.
set -euo pipefail
if [ $# -lt 2 ]; then
    sed -n '2,4s/^# //p' "$0" >&2
    exit 2
fi
if [ ! -f "$1" ]; then
    echo "CONFIG is '$1', which is not a file (looked in $PWD)" >&2
    exit 2
fi
exec "$(dirname "$0")/dist_run.sh" "$2" "$(dirname "$0")/train.py" "$1" "${@:3}"
