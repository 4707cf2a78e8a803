#!/usr/bin/env bash
# Run a script on Slurm: tools/slurm_run.sh PARTITION JOB_NAME SCRIPT [arguments]
# Used by slurm_train.sh and slurm_test.sh.
set -euo pipefail
if [ $# -lt 3 ]; then
    sed -n '2,3s/^# //p' "$0" >&2
    exit 2
fi
GPUS=${GPUS-8}
GPUS_PER_NODE=${GPUS_PER_NODE-8}
CPUS_PER_TASK=${CPUS_PER_TASK-5}
for name in GPUS GPUS_PER_NODE CPUS_PER_TASK; do
    if [[ ! ${!name} =~ ^[1-9][0-9]*$ ]]; then
        echo "$name is '${!name}'; it must be an integer >= 1" >&2
        exit 2
    fi
done
if [ ! -f "$3" ]; then
    echo "SCRIPT is '$3', which is not a file (looked in $PWD)" >&2
    exit 2
fi
# SRUN_ARGS is split into words intentionally.
# shellcheck disable=SC2086
exec srun -p "$1" \
    --job-name="$2" \
    --gres="gpu:$GPUS_PER_NODE" \
    --ntasks="$GPUS" \
    --ntasks-per-node="$GPUS_PER_NODE" \
    --cpus-per-task="$CPUS_PER_TASK" \
    --kill-on-bad-exit=1 \
    ${SRUN_ARGS:-} \
    python -u "$3" "${@:4}" --launcher slurm
