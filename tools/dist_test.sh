#!/usr/bin/env bash
# Test with several processes: tools/dist_test.sh CONFIG CHECKPOINT GPUS [arguments of test.py]
# Several nodes: set NNODES, NODE_RANK and MASTER_ADDR (and PORT, 29500 by default) on each.
# Without a GPU, GPUS is the number of processes on the CPU.
set -euo pipefail
if [ $# -lt 3 ]; then
    sed -n '2,4s/^# //p' "$0" >&2
    exit 2
fi
if [ ! -f "$1" ]; then
    echo "CONFIG is '$1', which is not a file (looked in $PWD)" >&2
    exit 2
fi
if [[ $2 != *://* && ! -e $2 ]]; then
    echo "CHECKPOINT is '$2', which does not exist (looked in $PWD)" >&2
    exit 2
fi
exec "$(dirname "$0")/dist_run.sh" "$3" "$(dirname "$0")/test.py" "$1" "$2" "${@:4}"
