#!/usr/bin/env bash
# Test on Slurm: tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [arguments of test.py]
# Environment variables: GPUS (default 8), GPUS_PER_NODE (8), CPUS_PER_TASK (5), SRUN_ARGS.
set -euo pipefail
if [ $# -lt 4 ]; then
    sed -n '2,3s/^# //p' "$0" >&2
    exit 2
fi
if [ ! -f "$3" ]; then
    echo "CONFIG is '$3', which is not a file (looked in $PWD)" >&2
    exit 2
fi
if [[ $4 != *://* && ! -e $4 ]]; then
    echo "CHECKPOINT is '$4', which does not exist (looked in $PWD)" >&2
    exit 2
fi
exec "$(dirname "$0")/slurm_run.sh" "$1" "$2" "$(dirname "$0")/test.py" "$3" "$4" "${@:5}"
