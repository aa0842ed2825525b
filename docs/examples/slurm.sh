#!/bin/sh
#SBATCH --job-name=braintune
#SBATCH --output=braintune-%A_%a.log
#SBATCH --cpus-per-task=2
# Resources of each share, for your cluster's rules: memory, time, partition, account.
##SBATCH --mem=16G
##SBATCH --time=08:00:00

# An array job of SLURM: `encode` or `study` in shares, then one job that puts them together.
#
#   sh slurm.sh 8 results braintune encode --dataset ds003020 --subject UTS03 --model … --out results
#
# submits 8 shares and, to begin once all have ended well, `braintune merge results`. Paths must hold on every node, and
# BRAINTUNE_CACHE should name a folder that all nodes share. A share that failed is submitted again by running the same
# line again: what is done is left as it is. PBS and SGE: the same two commands, with $PBS_ARRAY_INDEX or $SGE_TASK_ID.
set -eu

if [ -n "${BRAINTUNE_MERGE:-}" ]; then
  exec "$BRAINTUNE_PROGRAM" merge "$BRAINTUNE_MERGE"
fi
if [ -n "${SLURM_ARRAY_TASK_ID:-}" ]; then
  export RAYON_NUM_THREADS="${SLURM_CPUS_PER_TASK:-1}"
  exec "$@" --shard "$SLURM_ARRAY_TASK_ID/$BRAINTUNE_SHARES"
fi

if [ $# -lt 4 ]; then
  echo "usage: sh $0 SHARES OUT braintune encode|study …, with the same --out OUT among its flags" >&2
  exit 2
fi
shares=$1
out=$2
shift 2
program=$1
array=$(sbatch --parsable --array="1-$shares" --export="ALL,BRAINTUNE_SHARES=$shares" "$0" "$@")
sbatch --parsable --dependency="afterok:$array" --export="ALL,BRAINTUNE_MERGE=$out,BRAINTUNE_PROGRAM=$program" "$0" >/dev/null
echo "submitted $shares shares as job $array, and their merge"
