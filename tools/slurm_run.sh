#!/usr/bin/env bash
# Run a script on Slurm: tools/slurm_run.sh PARTITION JOB_NAME SCRIPT [arguments]
# Used by slurm_train.sh and slurm_test.sh.
set -euo pipefail
GPUS=${GPUS:-8}
GPUS_PER_NODE=${GPUS_PER_NODE:-8}
CPUS_PER_TASK=${CPUS_PER_TASK:-5}
# SRUN_ARGS holds several words on purpose.
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
