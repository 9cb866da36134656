#!/usr/bin/env bash
# Gathers the headers that tests/run_on_gpu.sh needs, a few MB of Eigen, Boost, CLI11 and nlohmann_json, from where the
# compiler finds them here.
#
#   tests/gpu_headers.sh HEADERS_DIR
set -euo pipefail

if [[ $# -ne 1 ]]; then
  sed -n '2,5s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
mkdir -p "$1"
headers="$(cd "$1" && pwd)"
eigen="$(pkg-config --variable=prefix eigen3 2>/dev/null || echo /usr)/include/eigen3"

# All that the tests and programs name, whatever else their way through it is on another machine: hence -dM's kin of
# the whole list, not of one test.
{
  echo '#include <boost/test/included/unit_test.hpp>'
  echo '#include <CLI/CLI.hpp>'
  echo '#include <nlohmann/json.hpp>'
  grep -ohE '^#include <(boost|Eigen|unsupported|CLI|nlohmann)/?[^>]*>' -r "$root/include" "$root/tests" "$root/bench" |
    grep -v 'boost/test/unit_test.hpp' | sort -u
} >"$headers/all.cpp"
g++ -std=c++20 -march=native -DBOOST_TEST_MODULE=headers "-I$eigen" -M "$headers/all.cpp" | tr ' \\' '\n\n' |
  grep -E '/(boost|Eigen|unsupported|CLI|nlohmann)/' | sort -u | while read -r file; do
    name="$(sed -E 's,^.*/((boost|Eigen|unsupported|CLI|nlohmann)/),\1,' <<<"$file")"
    echo "$name $file"
  done | while read -r name file; do
    mkdir -p "$headers/$(dirname "$name")"
    cp -L "$file" "$headers/$name"
  done
rm "$headers/all.cpp"
# Eigen chooses files by the processor, and that of the other machine may be another one.
cp -rL "$eigen/Eigen" "$headers/"
du -sh "$headers"
