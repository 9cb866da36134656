#!/usr/bin/env bash
# Goes on with a study from what is kept of it, and makes docs/results.md and the reports of all studies again.
#   docs/results/studies/run.sh NAME DATA_DIR
# DATA_DIR holds the text, plain or gzip: train.txt and valid.txt for shakespeare, the files of Multi30k for
# captions and multi30k, both folders, multi30k and tatoeba, for fine_tuning.
# Needs build/release/bin (cmake --workflow --preset release).
set -euo pipefail
name=$1 data=$(cd "$2" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")"
bin="$PWD/../../../build/release/bin"
if [[ ! -e $name.json ]]; then
  echo "run.sh: there is no study $name here" >&2
  exit 2
fi

# Copies a text of DATA_DIR: take FILE AS
take() {
  if [[ -e $data/$1 ]]; then cp "$data/$1" "$name/part/$2"; else zcat "$data/$1.gz" > "$name/part/$2"; fi
}

# Copies a translator's texts: take_pairs FOLDER TEST, where TEST may be empty
take_pairs() {
  for language in de en; do
    for split in train valid; do take "$1$split.$language" $split.$language; done
    if [[ -n $2 ]]; then take "$1$2.$language" test.$language; fi
  done
}

if [[ ! -d $name/data ]]; then # the same as when the study began; its plan checks it
  rm -rf "$name/part"
  mkdir -p "$name/part"
  case $name in
    captions)
      for split in train valid; do take $split.en $split.txt; done
      take test_2016_flickr.en test.txt
      ;;
    multi30k) take_pairs "" test_2016_flickr ;;
    fine_tuning)
      take_pairs tatoeba/ ""
      rm -rf "$name/base_data"
      mv "$name/part" "$name/base_data"
      mkdir "$name/part"
      take_pairs multi30k/ test_2016_flickr
      ;;
    *) # cut as projector_study does without a test text
      work=$(mktemp -d)
      "$bin/projector_study" init --task causal_lm --data "$data" --output "$work/$name.json"
      mv "$work/$name/data/"* "$name/part"
      rm -r "$work"
      ;;
  esac
  mv "$name/part" "$name/data"
fi
"$bin/projector_study" run "$name.json" --jobs "${JOBS:-2}" --rebuilt_program
cd ../../..
"$bin/projector_study" summary docs/results/studies/*.json --title "Do neural projections help?" --output docs/results.md
