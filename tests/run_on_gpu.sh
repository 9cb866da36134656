#!/usr/bin/env bash
# Runs on a GPU what else runs under the emulation: the typed tests of the operations, whole models against the CPU, and
# both under compute-sanitizer. Each part is on its own and bounded in time; a table at the end says what became of it.
#
#   tests/run_on_gpu.sh HEADERS_DIR [PART...]
#
# It takes nvcc, a host compiler and a GPU, but no network and no packages: HEADERS_DIR holds the headers of Eigen (in
# eigen3/ or at its top) and of Boost. Parts are build, operations, models, memcheck and racecheck; without any named, all
# of them. JOBS sets how many compilers run at once, WORK where everything is built.
set -uo pipefail

if [[ $# -lt 1 || ! -d "$1" ]]; then
  sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
headers="$(cd "$1" && pwd)"
shift
parts=("$@")
[[ ${#parts[@]} -gt 0 ]] || parts=(build operations models memcheck racecheck)
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
work="${WORK:-$root/build/gpu}"
jobs="${JOBS:-$(nproc)}"
mkdir -p "$work/tests"

nvcc="$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)"
if [[ ! -x "$nvcc" ]]; then
  echo "skipped: there is no nvcc" >&2
  exit 77
fi
if ! device="$(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader 2>/dev/null | head -n 1)" ||
  [[ -z "$device" ]]; then
  echo "skipped: there is no GPU" >&2
  exit 77
fi
cuda="$(cd "$(dirname "$(readlink -f "$nvcc")")/.." && pwd)"
export PATH="$cuda/bin:$PATH"
echo "device: $device"

summary=()
failed=0
# part NAME SECONDS COMMAND...: runs it if it was asked for; what it prints goes to a file, the end of which is shown.
part() {
  local name="$1" seconds="$2" begin=$SECONDS status
  shift 2
  [[ " ${parts[*]} " == *" $name "* ]] || return 0
  echo "== $name (at most $seconds s)"
  timeout --kill-after=10 "$seconds" "$@" >"$work/$name.log" 2>&1
  status=$?
  tail -n 15 "$work/$name.log"
  case $status in
    0) status=passed ;;
    77) status=skipped ;;
    124 | 137) status="out of time" failed=1 ;;
    *) status="FAILED ($status)" failed=1 ;;
  esac
  summary+=("$(printf '%-12s %-14s %4d s   %s' "$name" "$status" $((SECONDS - begin)) "$work/$name.log")")
}

# The tests lose what asks for Boost's library, and get its code from the headers instead.
compile_test() {
  local source="$1" name copy
  name="$(basename "$(dirname "$source")")_$(basename "$source" .cpp)"
  copy="$work/tests/$name.cpp"
  sed -e '/#define BOOST_TEST_DYN_LINK/d' -e 's,<boost/test/unit_test.hpp>,<boost/test/included/unit_test.hpp>,' \
    "$source" >"$copy"
  echo "compiling $name"
  g++ -std=c++20 -O2 -march=native -w -DNEURAL_ATTENTION_TESTS_ON_DEVICE "-I$root/include" "-I$root/tests" \
    -isystem "$headers" -isystem "$headers/eigen3" -isystem "$cuda/include" "$copy" "$work/kernels.o" \
    -o "$work/tests/$name" "-L$cuda/lib64" "-Wl,-rpath,$cuda/lib64" -lcudart_static -lcublasLt -ldl -lrt -pthread
}

build() {
  nvcc -std=c++20 -O3 --expt-relaxed-constexpr -lineinfo -arch=native "-I$root/include" \
    -c "$root/cmake/stubs/cuda.cu" -o "$work/kernels.o" || return
  { grep -l '"backend/backends.hpp"' "$root"/tests/backend/test_*.cpp; echo "$root/tests/cuda/test_model.cpp"; } |
    xargs -P "$jobs" -I '{}' bash -c 'compile_test "$1"' _ '{}'
}

# run_tests PATTERN COMMAND...: every test program of that name, under the command; one that fails does not stop others.
run_tests() {
  local pattern="$1" bad=0 program
  shift
  for program in "$work"/tests/$pattern; do
    [[ -x "$program" && "$program" != *.cpp ]] || continue
    echo "-- $(basename "$program")"
    "$@" "$program" --color_output=no || bad=1
  done
  return $bad
}

sanitize() {
  if ! command -v compute-sanitizer >/dev/null; then
    echo "skipped: there is no compute-sanitizer"
    return 77
  fi
  run_tests 'backend_test_*' compute-sanitizer --tool "$1" --error-exitcode 9
}

export -f compile_test build run_tests sanitize
export root work headers cuda jobs
part build 900 bash -c build
part operations 600 bash -c "run_tests 'backend_test_*' env"
part models 600 bash -c "run_tests 'cuda_test_*' env"
part memcheck 1200 bash -c "sanitize memcheck"
part racecheck 1200 bash -c "sanitize racecheck"

printf '\n%s\n' "$device"
printf '%s\n' "${summary[@]}"
exit $failed
