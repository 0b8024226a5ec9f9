#!/bin/sh
#SBATCH --job-name=ccsr
#SBATCH --array=1-8
#SBATCH --cpus-per-task=4
#SBATCH --mem=8G
#SBATCH --time=04:00:00
#SBATCH --requeue
# Enlarge a folder by a Slurm array, one task a shard. IN and OUT are URLs, or seen by all nodes.
# Usage: sbatch deploy/slurm.sh IN OUT [options of ccsr upscale]
# Afterwards: ccsr report OUT/run-*.jsonl
set -eu
in=$1 out=${2%/}
shift 2
export OMP_NUM_THREADS="${SLURM_CPUS_PER_TASK:-1}"
number=$((SLURM_ARRAY_TASK_ID - SLURM_ARRAY_TASK_MIN + 1))

exec ccsr upscale "$in" -o "$out/" --exists skip --quiet \
    --shard "$number/$SLURM_ARRAY_TASK_COUNT" --report "$out/run-$number.jsonl" "$@"
