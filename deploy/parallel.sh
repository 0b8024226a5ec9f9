#!/bin/sh
# Enlarge a folder by several processes on this machine, with GNU parallel.
# Usage: deploy/parallel.sh PROCESSES IN OUT [options of ccsr upscale]
# Example: deploy/parallel.sh 4 photos large --recursive --scale 2
set -eu
fail() { echo "$1" >&2; exit 2; }
[ $# -ge 3 ] || fail "usage: deploy/parallel.sh PROCESSES IN OUT [options of ccsr upscale]"
case $1 in ''|0*|*[!0-9]*) fail "expected a number of processes of at least 1, got '$1'" ;; esac
command -v parallel > /dev/null || fail "deploy/parallel.sh needs GNU parallel, which is not installed"
count=$1 in=$2 out=${3%/}
shift 3

cores=$(getconf _NPROCESSORS_ONLN)
threads=$((cores / count))
export OMP_NUM_THREADS="$((threads > 0 ? threads : 1))"

status=0
seq "$count" | parallel --quote --jobs "$count" \
    ccsr upscale "$in" -o "$out/" --exists skip --quiet \
    --shard "{}/$count" --report "$out/run-{}.jsonl" "$@" || status=$?

set --  # not run-*.jsonl, which may be of other runs too, or lie in a store
for number in $(seq "$count"); do
    set -- "$@" "$out/run-$number.jsonl"
done
ccsr report "$@" || status=$?
exit "$status"
