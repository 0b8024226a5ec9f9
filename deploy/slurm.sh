#!/bin/sh
#SBATCH --job-name=ccsr
#SBATCH --array=1-8
#SBATCH --cpus-per-task=4
#SBATCH --mem=8G
#SBATCH --time=04:00:00
#SBATCH --requeue
# Enlarge a folder by a Slurm array, one task a shard. IN and OUT are URLs, or seen by all nodes.
# Usage: sbatch deploy/slurm.sh IN OUT [options of ccsr upscale]
# Another number of shards: sbatch --array=1-40 --export=ALL,SHARDS=40 deploy/slurm.sh ...
# A few of them again, of as many: sbatch --array=3,5 deploy/slurm.sh ...
# Afterwards: ccsr report OUT/run-*.jsonl
set -eu
if [ $# -lt 2 ] || [ -z "${SLURM_ARRAY_TASK_ID:-}" ]; then
    echo "usage: sbatch deploy/slurm.sh IN OUT [options of ccsr upscale]" >&2
    exit 2
fi
in=$1 out=${2%/}
shift 2
export OMP_NUM_THREADS="${SLURM_CPUS_PER_TASK:-1}"

exec ccsr upscale "$in" -o "$out/" --exists skip --quiet \
    --shard "$SLURM_ARRAY_TASK_ID/${SHARDS:-8}" --report "$out/run-$SLURM_ARRAY_TASK_ID.jsonl" "$@"
