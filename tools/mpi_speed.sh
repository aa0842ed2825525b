#!/bin/sh
# `encode` by two ranks beside one rank with one thread, on a simulated participant, features made anew and from the
# cache: seconds on the clock, three runs each, the small HuBERT of the simulation. The machine should have two cores and nothing else to do.
#   sh tools/mpi_speed.sh target/release/braintune FOLDER     (a build with --features mpi)
set -eu
program=$(realpath "$1")
model=$(realpath "$(dirname "$0")/../crates/simulation/models/tiny-hubert")
mkdir -p "$2"
cd "$2"
[ -d data ] || "$program" simulate --out data --voxels 16384 --train-stories 7 --story-s 300 --test-story-s 300
test=thelasttrain
export BRAINTUNE_CACHE="$PWD/cache" OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
seconds() { # of a run of so many ranks
  begun=$(date +%s.%N)
  mpirun -n "$1" --bind-to core "$program" encode --dataset data --subject SIM01 --model "$model" --test-stories "$test" \
    --window-s 4 --stride-s 1 --out "out-$1" --threads 1 2>"log-$1" ||
    { cat "log-$1" >&2; exit 1; }
  ended=$(date +%s.%N)
  echo "$begun $ended" | awk '{ printf "%.2f ", $2 - $1 }'
}
for what in 'features made anew' 'features in the cache'; do
  for n in 1 2; do
    printf '%s, %s ranks: ' "$what" "$n"
    for run in 1 2 3; do
      rm -rf "out-$n"
      [ "$what" = 'features in the cache' ] || rm -rf cache
      seconds "$n"
    done
    echo s
  done
done
cmp out-1/voxels.npz out-2/voxels.npz && cmp out-1/alignment.csv out-2/alignment.csv && echo 'the same bytes'
