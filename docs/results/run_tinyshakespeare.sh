#!/usr/bin/env bash
# Trains the character models that docs/results/recipes.md reports and keeps each run's metrics.jsonl under
# docs/results/runs.
#   docs/results/run_tinyshakespeare.sh DATA_DIR WORK_DIR [ARM [SEED]]
# DATA_DIR holds train.txt and valid.txt. Without ARM all runs. Needs build/release/bin (cmake --workflow --preset
# release), or CAUSAL_LM. `results_report` then writes docs/results/recipes.md.
set -euo pipefail
data=$1 work=$2 only_arm=${3:-} only_seed=${4:-}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
causal_lm=${CAUSAL_LM:-$root/build/release/bin/causal_lm}

# train ARM SEED FLAGS…: one run of nanoGPT's smallest recipe and its metrics into the repository.
train() {
  local arm=$1 seed=$2; shift 2
  [[ ${only_arm:-$arm} == "$arm" && ${only_seed:-$seed} == "$seed" ]] || return 0
  local out="$work/tinyshakespeare/$arm-seed$seed" kept="$root/docs/results/runs/tinyshakespeare/$arm-seed$seed"
  "$causal_lm" train --data "$data" --tokenizer characters --n_layer 4 --n_head 4 --n_embd 128 --block_size 64 \
    --per_device_train_batch_size 12 --max_steps 2000 --dropout 0 --bias false --activation_function gelu \
    --lr_scheduler_type cosine_with_min_lr --warmup_steps 100 --adam_beta2 0.99 --weight_decay 0.1 --eval_steps 250 \
    --seed "$seed" --output_dir "$out" --save_total_limit 1 --threads "${THREADS:-1}" "$@"
  mkdir -p "$kept"
  cp "$out/metrics.jsonl" "$kept/metrics.jsonl"
}

for seed in 1 2 3; do
  for rate in 1e-3 2e-3; do
    floor=${rate/e-3/e-4}
    train linear_$rate $seed --learning_rate $rate --min_lr $floor
    train nonlinear_query_$rate $seed --learning_rate $rate --min_lr $floor --projector_q nonlinear_query
  done
done
