// A training program for tests of studies, as a script: it takes flags, resumes, writes metrics.jsonl and ends like the
// real ones, and its losses and times follow from its flags alone.
#pragma once

#include <filesystem>
#include <string>

#include "examples/programs.hpp"

namespace programs {

/// Writes the script and returns its path. The loss of a step falls with the step, by 0.01 a unit of --gain, and
/// differs a little from seed to seed. A step takes --pause seconds; checkpoints come every 5 steps. It translates by
/// the lines of the file `answers` beside it, with a wrong word in some; the more gain, the fewer. An epoch has 40
/// sequences; a model has --grows parameters more than --dump_size says.
inline std::string stand_in(const fs::path& folder) {
  const auto path = folder / "stand_in";
  write(path, R"sh(#!/bin/sh
command=$1
shift
arguments=$*
if [ "$OMPI_COMM_WORLD_SIZE$PMI_SIZE$PMIX_RANK" ]; then echo "stand_in: a rank of others" >&2; exit 2; fi
gain=0 pause=0 width=10 learning_rate=1 seed=1 fails= diverges= overflows= refuses= dump= model= grows=0 unseen=
max_steps= num_train_epochs=1 per_device_train_batch_size=2
for argument; do
  case $argument in
    --dump_size) dump=1 ;;
    --do_sample) ;;
    --nonsense=*) echo "stand_in: what is $argument?" >&2; exit 2 ;;
    --feed_forward_width=*) width=${argument#*=} ;;
    --*=*)
      name=${argument%%=*}
      eval "${name#--}=\${argument#*=}" ;;
    *) echo "stand_in: what is $argument?" >&2; exit 2 ;;
  esac
done
max_steps=${max_steps:-$((num_train_epochs * 40 / per_device_train_batch_size))}
parameters=$((1000 + 10 * width + 100 * gain))
if [ "$dump" ]; then
  echo "{\"parameters\": $parameters, \"forward_flops_per_token\": $((500 + 20 * width + 100 * gain))}"
  exit 0
fi
if [ "$command" = evaluate ]; then
  echo "$arguments" >> "$(dirname "$0")/evaluated"
  if [ "$refuses" ]; then echo "stand_in: --refuses is no flag of evaluate" >&2; exit 2; fi
  if [ "$(cat "$model/overflows")" = 1 ]; then echo "stand_in: the loss of a batch is not finite" >&2; exit 3; fi
  awk -v loss="$(cat "$model/loss")" 'BEGIN { printf "loss = %.6f\nperplexity = %.4f\n", loss + 0.5, exp(loss + 0.5) }'
  exit 0
fi
if [ "$command" = translate ]; then
  read -r gain seed < "$model/who"
  awk -v g="$gain" -v s="$seed" -v lines="$(wc -l < "$input")" \
    'NR <= lines { if ((NR * 7 + s) % 5 < 4 - g) $2 = "wrong"; print }' "$(dirname "$0")/answers" > "$output"
  exit 0
fi
if [ "$command" = generate ]; then
  if [ -e "$(dirname "$0")/short" ]; then echo "stand_in: the prompt is too long" >&2; exit 1; fi
  echo "$(cat "$input") and so on"
  exit 0
fi
if [ "$model" ] && [ ! -e "$model/loss" ]; then echo "stand_in: $model is no model" >&2; exit 1; fi
mkdir -p "$output_dir"
step=0
if [ -e "$output_dir/checkpoint" ]; then
  step=$(cat "$output_dir/checkpoint")
  awk -v last="$step" -F'[:,]' '$2 + 0 <= last' "$output_dir/metrics.jsonl" > "$output_dir/kept"
  mv "$output_dir/kept" "$output_dir/metrics.jsonl"
  echo "resumed at step $step" >&2
else
  : > "$output_dir/metrics.jsonl"
fi
stop=
trap 'stop=1' TERM INT USR1
loss_at() {
  awk -v s="$1" -v g="$gain" -v seed="$seed" -v rate="$learning_rate" 'BEGIN {
    noise = (seed * 7919 % 13 - 6) / 2000 + (seed * (g + 3) * 104729 % 11 - 5) / 20000
    printf "%.6f", 2 + 4 / (s + 2) - g / 100 + (rate - 2) * (rate - 2) / 10 + noise }'
}
save() {
  echo "$step" > "$output_dir/next" && mv "$output_dir/next" "$output_dir/checkpoint"
}
while [ "$step" -lt "$max_steps" ]; do
  [ "$pause" = 0 ] || sleep "$pause"
  step=$((step + 1))
  if [ "$fails" ] && [ "$step" = 3 ]; then echo "stand_in: the disk is full, not finite" >&2; exit 1; fi
  if [ "$diverges" = "$seed" ] && [ "$learning_rate" != 0 ] && [ "$step" = 3 ]; then
    echo "stand_in: step 3: the loss is not finite" >&2
    exit 3
  fi
  if [ $((step % 5)) = 0 ]; then
    row="\"valid_loss\":$(loss_at "$step"),\"seconds\":$((step * (2 + gain))),\"valid_perplexity\":9.5"
    echo "{\"step\":$step,$row}" >> "$output_dir/metrics.jsonl"
    save
  fi
  if [ "$stop" ]; then
    save
    exit 143
  fi
done
loss=$(loss_at "$step")
echo "$loss" > "$output_dir/loss"
echo "$gain $seed" > "$output_dir/who"
[ "$overflows" = "$seed" ] && [ "$learning_rate" != 0 ] && echo 1 > "$output_dir/overflows" || echo 0 > "$output_dir/overflows"
row="\"final\":true,\"parameters\":$((parameters + grows)),\"seed\":$seed,\"steps\":$step"
[ "$unseen" ] || row="$row,\"valid_loss\":$loss"
row="$row,\"valid_perplexity\":9.5,\"seconds\":$((step * (2 + gain))),\"tokens_per_second\":100"
echo "{$row}" >> "$output_dir/metrics.jsonl"
)sh");
  fs::permissions(path, fs::perms::owner_all);
  return path.string();
}

}  // namespace programs
