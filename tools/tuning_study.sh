#!/usr/bin/env bash
# Does brain-tuning help a story that tuning never heard? The study in docs/tuning.md.
#
#   cargo build --release --bins --examples -p braintune-cli -p braintune-backbone
#   tools/tuning_study.sh DATASET SUBJECT MODEL CONFIG.toml OUT [SEED …]
#
# For each seed: the model tuned with CONFIG, the same with block-permuted responses, and random weights; beside them the
# model as it is. Each is then evaluated by `encode` with ten stories, and OUT/table.tsv has mean r per layer over all
# targets and over the first 20. Whatever is there already is not done again.
set -euo pipefail
[ $# -ge 5 ] || { sed -n '2,9p' "$0"; exit 2; }
dataset=$1 subject=$2 model=$3 config=$4 out=$5
shift 5
seeds=${*:-1 2 3}
bin=${BRAINTUNE_BIN:-$(dirname "$0")/../target/release}
train=alternateithicatom,avatar,howtodraw,legacy,life,naked,odetostepfather,souls,undertheinfluence,stagefright
mkdir -p "$out"
echo '{"first20": [0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19]}' > "$out/rois.json"

tune() { # NAME SEED [--control …]
  local name=$1 seed=$2
  shift 2
  [ -e "$out/$name/model.safetensors" ] && [ ! -e "$out/$name/state" ] && return
  "$bin/braintune" tune --dataset "$dataset" --subjects "$subject" --model "$model" --config "$config" --seed "$seed" \
    --out "$out/$name" --cache "$out/frozen" --resume "$@" 2>&1 | tee -a "$out/$name.log"
  rm -r "$out/$name/state"
}

evaluate() { # NAME MODEL
  [ -e "$out/$1-encoded/alignment.csv" ] && return
  "$bin/braintune" encode --dataset "$dataset" --subject "$subject" --model "$2" --out "$out/$1-encoded" \
    --cache "$out/features-$1" --window-s 10 --stride-s 2 --window-feature stride-mean --train-stories "$train" \
    --rois "$out/rois.json" 2>&1 | tee -a "$out/$1-encoded.log"
}

evaluate pretrained "$model"
for seed in $seeds; do
  tune "tuned-$seed" "$seed"
  evaluate "tuned-$seed" "$out/tuned-$seed"
  tune "permuted-$seed" "$seed" --control block-permuted
  evaluate "permuted-$seed" "$out/permuted-$seed"
  [ -e "$out/random-$seed" ] || "$bin/examples/random_weights" "$model" "$out/random-$seed" "$seed"
  evaluate "random-$seed" "$out/random-$seed"
done

for file in "$out"/*-encoded/alignment.csv; do
  name=$(basename "$(dirname "$file")" -encoded)
  # subject,model,layer,roi,n_voxels,mean_r,…
  awk -F, -v name="$name" 'NR > 1 { print name "\t" $4 "\t" $3 "\t" $6 }' "$file"
done > "$out/table.tsv"
cat "$out/table.tsv"
