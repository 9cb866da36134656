#!/usr/bin/env bash
# Trains what docs/results/recipes.md reports and keeps each run's metrics.jsonl under docs/results/runs.
#   docs/results/run_multi30k.sh small|bfloat16 DATA_DIR WORK_DIR
# Needs build/release/bin (cmake --workflow --preset release). `results_report` then writes docs/results/recipes.md.
set -euo pipefail
experiment=$1 data=$2 work=$3
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
bin="$root/build/release/bin"

# train ARM SEED FLAGS…: one run, its BLEU on the test set, and its metrics into the repository. FLAGS name the projector.
train() {
  local arm=$1 seed=$2; shift 2
  local out="$work/$experiment/$arm-seed$seed" kept="$root/docs/results/runs/multi30k-$experiment/$arm-seed$seed"
  "$bin/translation" train --data "$data" --seed "$seed" --output_dir "$out" --save_total_limit 1 "$@"
  local score
  score=$("$bin/translation" evaluate --model "$out" --num_beams 1 --source "$data/test_2016_flickr.de.gz" \
    --reference "$data/test_2016_flickr.en.gz")
  mkdir -p "$kept"
  cp "$out/metrics.jsonl" "$kept/metrics.jsonl"
  awk 'NR == 1 { bleu = $3 } NR == 2 { signature = $1 }
    END { printf "{\"test\":\"test_2016_flickr\",\"bleu\":%s,\"signature\":\"%s\"}\n", bleu, signature }' \
    <<<"$score" >>"$kept/metrics.jsonl"
}

case $experiment in
  small)
    common=(--config small --mini_batch_words 1200 --learning_rate 1e-3 --warmup_steps 400 --dropout 0.15)
    train linear 1 "${common[@]}" --num_train_epochs 8 --projector linear
    train neural 1 "${common[@]}" --num_train_epochs 8 --projector neural
    ;;
  bfloat16) # the operands of products rounded or not, and nothing else
    common=(--config "$root/examples/translation/configs/quick.json" --mini_batch_words 1200 --learning_rate 2e-3
      --warmup_steps 200 --dropout 0.1 --max_steps 400 --eval_steps 50 --no_bleu)
    for projector in linear neural; do
      for dtype in float32 bfloat16; do
        train "${projector}_$dtype" 1 "${common[@]}" --projector $projector --dtype $dtype
      done
    done
    ;;
  *)
    echo "unknown experiment '$experiment': small or bfloat16" >&2
    exit 2
    ;;
esac
