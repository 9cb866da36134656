#!/usr/bin/env bash
# Goes on with a study from what is kept of it, and makes its report again.
#   docs/results/studies/run.sh NAME DATA_DIR
# DATA_DIR holds train.txt and valid.txt, plain or gzip. Needs build/release/bin (cmake --workflow --preset release).
set -euo pipefail
name=$1 data=$(cd "$2" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")"
study="$PWD/../../../build/release/bin/projector_study"
if [[ ! -d $name/data ]]; then # the same cut as when the study began; its plan checks it
  work=$(mktemp -d)
  "$study" init --task causal_lm --data "$data" --output "$work/$name.json"
  mv "$work/$name/data" "$name/data"
  rm -r "$work"
fi
"$study" run "$name.json" --jobs "${JOBS:-2}" --rebuilt_program
"$study" report "$name.json" --partial
