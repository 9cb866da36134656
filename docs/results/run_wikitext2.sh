#!/usr/bin/env bash
# Trains the masked language models that docs/results.md reports and keeps each run's metrics.jsonl under
# docs/results/runs.
#   docs/results/run_wikitext2.sh small|quick DATA_DIR WORK_DIR [ARM [SEED]]
# DATA_DIR holds wikitext-2/ and wikitext-103/. Without ARM all runs of the experiment. Needs build/release/bin (cmake
# --workflow --preset release), or MASKED_LM. `results_report` then writes docs/results.md.
set -euo pipefail
experiment=$1 data=$2 work=$3 only_arm=${4:-} only_seed=${5:-}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
masked_lm=${MASKED_LM:-$root/build/release/bin/masked_lm}

# train ARM SEED FLAGS…: one run and its metrics into the repository; of `small` also the perplexity on WikiText-103's
# rendering of the same articles.
train() {
  local arm=$1 seed=$2; shift 2
  [[ ${only_arm:-$arm} == "$arm" && ${only_seed:-$seed} == "$seed" ]] || return 0
  local out="$work/wikitext2-$experiment/$arm-seed$seed" kept="$root/docs/results/runs/wikitext2-$experiment/$arm-seed$seed"
  "$masked_lm" train --data "$data/wikitext-2" --projector "$arm" --seed "$seed" --output_dir "$out" --threads 1 \
    --save_total_limit 1 "$@"
  mkdir -p "$kept"
  cp "$out/metrics.jsonl" "$kept/metrics.jsonl"
  [[ $experiment == small ]] || return 0
  local perplexity
  perplexity=$("$masked_lm" evaluate --model "$out" --text "$data/wikitext-103/valid.txt.gz" --threads 1 |
    awk '/^perplexity/ { print $3 }')
  printf '{"test":"wikitext-103 valid","perplexity":%s}\n' "$perplexity" >>"$kept/metrics.jsonl"
}

common=(--config small --vocab_size 4000 --mini_batch_words 1024 --learning_rate 1e-3 --warmup_steps 100)
case $experiment in
  small)
    for arm in linear plain_neural; do
      train $arm 1 "${common[@]}" --max_steps 2300 --eval_steps 460
    done
    ;;
  quick)
    for arm in linear plain_neural; do
      for seed in 1 2 3; do
        train $arm $seed "${common[@]}" --max_steps 150 --eval_steps 150
      done
    done
    ;;
  *)
    echo "unknown experiment '$experiment': small or quick" >&2
    exit 2
    ;;
esac
