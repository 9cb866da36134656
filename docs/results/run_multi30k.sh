#!/usr/bin/env bash
# Trains what docs/results.md reports and keeps each run's metrics.jsonl under docs/results/runs.
#   docs/results/run_multi30k.sh small|quick DATA_DIR WORK_DIR
# Needs build/release/bin (cmake --workflow --preset release). `results_report` then writes docs/results.md.
set -euo pipefail
experiment=$1 data=$2 work=$3
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
bin="$root/build/release/bin"

# train ARM SEED FLAGS…: one run, its BLEU on the test set, and its metrics into the repository.
train() {
  local arm=$1 seed=$2; shift 2
  local out="$work/$experiment/$arm-seed$seed" kept="$root/docs/results/runs/multi30k-$experiment/$arm-seed$seed"
  "$bin/translation" train --data "$data" --projector "$arm" --seed "$seed" --output_dir "$out" \
    --save_total_limit 1 "$@"
  local score
  score=$("$bin/translation" evaluate --model "$out" --source "$data/test_2016_flickr.de.gz" \
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
    train linear 1 "${common[@]}" --num_train_epochs 12
    train neural 1 "${common[@]}" --num_train_epochs 8
    train neural 1 "${common[@]}" --num_train_epochs 10 --resume_from_checkpoint last
    ;;
  quick)
    common=(--config "$root/examples/translation/configs/quick.json" --mini_batch_words 1200 --learning_rate 2e-3
      --warmup_steps 200 --dropout 0.1 --max_steps 700 --eval_steps 175)
    for seed in 1 2 3; do
      train linear "$seed" "${common[@]}"
      train neural "$seed" "${common[@]}"
    done
    ;;
  *)
    echo "unknown experiment '$experiment': small or quick" >&2
    exit 2
    ;;
esac
