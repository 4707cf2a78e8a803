#!/usr/bin/env bash
# Train on Slurm: tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [arguments of train.py]
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
exec "$(dirname "$0")/slurm_run.sh" "$1" "$2" \
    "$(dirname "$0")/train.py" "$3" --work-dir "$4" "${@:5}"
