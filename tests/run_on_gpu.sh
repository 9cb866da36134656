#!/usr/bin/env bash
# Runs on a GPU what else runs under the emulation, and measures there what nothing else can: the typed tests of the
# operations, whole models against the CPU and against the reference values, both under compute-sanitizer, benchmarks,
# and the comparison with PyTorch. Each part is on its own and bounded in time, and one that fails does not stop the
# others; a table at the end says what became of each.
#
#   tests/run_on_gpu.sh HEADERS_DIR [PART...]
#
# Parts, in this order; without any named, all of them:
#   build        the kernels, the tests and the programs, those that are older than their sources
#   operations   tests of every operation on the device
#   models       tests of whole models on the device, and of their parity with the reference values
#   memcheck     the operations' tests under compute-sanitizer
#   racecheck    the same with its other tool
#   kernels      every operation's rate (bench/cuda/kernels.cpp), and PyTorch's attention beside it
#   steps        training steps with the utilisation of the device
#   translation  a training step of Marian-base against PyTorch
#   masked_lm    a training step of RoBERTa-base against PyTorch
#   page         a copy of docs/benchmarks.md with what was measured, in WORK
#
# It takes nvcc, a host compiler and a GPU, for what PyTorch does Python with PyTorch and transformers, but no network and
# no packages: HEADERS_DIR holds the headers of Eigen, Boost, CLI11 and nlohmann_json, as tests/gpu_headers.sh gathers
# them. Where a machine is lent for minutes, name some of the parts at a time and give the same WORK again:
# what is built there stays. Variables:
#   WORK          where everything is built and written (build/gpu)
#   JOBS          how many compilers run at once
#   SECONDS_EACH  the most that a part may take, instead of its own bound
#   SENTENCES     a file of real sentences, made by bench/peers/prepare.py; without it their lengths are drawn
#   PYTHON        the Python that has PyTorch (python3)
set -uo pipefail

if [[ $# -lt 1 || ! -d "$1" ]]; then
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0" >&2
  exit 2
fi
all=(build operations models memcheck racecheck kernels steps translation masked_lm page)
headers="$(cd "$1" && pwd)"
shift
parts=("$@")
[[ ${#parts[@]} -gt 0 ]] || parts=("${all[@]}")
for name in "${parts[@]}"; do
  if [[ " ${all[*]} " != *" $name "* ]]; then
    echo "there is no part $name; there are: ${all[*]}" >&2
    exit 2
  fi
done
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
work="${WORK:-$root/build/gpu}"
jobs="${JOBS:-$(nproc)}"
python="${PYTHON:-python3}"
mkdir -p "$work/tests" "$work/bin"

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
PATH="$(dirname "$nvcc"):$cuda/bin:$PATH"
echo "device: $device"

summary=()
failed=0
# part NAME SECONDS COMMAND...: runs it if it was asked for; what it prints goes to a file, the end of which is shown.
part() {
  local name="$1" seconds="${SECONDS_EACH:-$2}" begin=$SECONDS status
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

# compiled PROGRAM SOURCE OPTION...: with g++ and the kernels, unless the program is newer than all that it is made of.
# Its options are written into the log where it fails.
compiled() {
  local program="$1" source="$2" used file
  shift 2
  local options=(-std=c++20 -O2 -march=native -w "-I$root/include" "-I$root/tests" "-I$root/bench"
    -isystem "$headers" -isystem "$headers/eigen3" -isystem "$cuda/include" "$@")
  if [[ -x "$program" ]]; then
    used="$(g++ "${options[@]}" -MM "$source")" || return
    for file in "$work/kernels.o" "$source" $(sed -e 's/^[^:]*://' -e 's/\\$//' <<<"$used"); do
      [[ "$program" -nt "$file" ]] || used=""
    done
    [[ -z "$used" ]] || return 0
  fi
  echo "compiling $(basename "$program")"
  g++ "${options[@]}" "$source" "$work/kernels.o" -o "$program.new" "-L$cuda/lib64" "-L$cuda/lib" \
    "-Wl,-rpath,$cuda/lib64" "-Wl,-rpath,$cuda/lib" -lcudart_static -lcublasLt -ldl -lrt -pthread &&
    mv "$program.new" "$program" ||
    { rm -f "$program"; echo "FAILED: g++ ${options[*]} $source"; return 1; }
}

# A test belongs on the device where it knows its backend from backend/gpu.hpp, and does not take the emulation's. With
# -MG a header that is missing is an error of the compilation, and not a reason to leave a test out.
on_device() {
  local used
  used="$(g++ -std=c++20 "-I$root/include" "-I$root/tests" -DNEURAL_ATTENTION_TESTS_ON_DEVICE \
    -isystem "$headers" -isystem "$headers/eigen3" -MM -MG "$1")" &&
    [[ "$used" == *backend/gpu.hpp* && "$used" != *cuda/emulation.hpp* ]]
}

# The tests lose what asks for Boost's library, and get its code from the headers instead.
compile_test() {
  local source="$1" name copy
  on_device "$source" || return 0
  name="$(basename "$(dirname "$source")")_$(basename "$source" .cpp)"
  copy="$work/tests/$name.cpp"
  sed -e '/#define BOOST_TEST_DYN_LINK/d' -e 's,<boost/test/unit_test.hpp>,<boost/test/included/unit_test.hpp>,' \
    "$source" >"$copy.new"
  if cmp -s "$copy.new" "$copy"; then rm "$copy.new"; else mv "$copy.new" "$copy"; fi
  compiled "$work/tests/$name" "$copy" -DNEURAL_ATTENTION_TESTS_ON_DEVICE \
    "-DNEURAL_ATTENTION_GOLDEN_DIR=\"$root/tests/golden\"" "-DNEURAL_ATTENTION_BIN_DIR=\"$work/bin\""
}

compile() {
  case "$1" in
    kernels | steps) compiled "$work/bin/$1" "$root/bench/cuda/$1.cpp" ;;
    ours_training) compiled "$work/bin/$1" "$root/bench/peers/$1.cpp" -DPEERS_CUDA ;;
    *) compile_test "$1" ;;
  esac
}

build() {
  if [[ ! "$work/kernels.o" -nt "$root/cmake/stubs/cuda.cu" ||
    -n "$(find "$root/include" -newer "$work/kernels.o" -type f)" ]]; then
    echo "compiling the kernels"
    nvcc -std=c++20 -O3 --expt-relaxed-constexpr -lineinfo -arch=native "-I$root/include" \
      -c "$root/cmake/stubs/cuda.cu" -o "$work/kernels.o" || return
  fi
  printf '%s\n' ours_training steps kernels "$root"/tests/*/test_*.cpp |
    xargs -P "$jobs" -I '{}' bash -c 'compile "$1"' _ '{}'
}

# run_tests COMMAND... -- PROGRAM...: every test program, under the command; one that fails does not stop others.
run_tests() {
  local command=() bad=0 found=0 program
  while [[ "$1" != -- ]]; do
    command+=("$1")
    shift
  done
  shift
  for program in "$@"; do
    [[ -x "$program" && "$program" != *.cpp* ]] || continue
    found=1
    echo "-- $(basename "$program")"
    "${command[@]}" "$program" --color_output=no || bad=1
  done
  [[ $found == 1 ]] || { echo "nothing is built"; bad=1; }
  return $bad
}

operations() { run_tests env -- "$work"/tests/backend_test_*; }

models() {
  local program others=()
  for program in "$work"/tests/*_test_*; do
    [[ "$program" == */backend_test_* ]] || others+=("$program")
  done
  run_tests env -- "${others[@]}"
}

sanitize() {
  if ! command -v compute-sanitizer >/dev/null; then
    echo "skipped: there is no compute-sanitizer"
    return 77
  fi
  local which=()
  # Hazards inside NVIDIA's own kernels are not ours to find; whether those leave our memory is.
  if [[ "$1" == racecheck ]] && compute-sanitizer --help | grep -q -e --kernel-regex; then
    which=(--kernel-regex kns=neural_attention)
  fi
  run_tests compute-sanitizer --tool "$1" "${which[@]}" --error-exitcode 9 -- "$work"/tests/backend_test_*
}

# A table is kept where its program printed it to the end.
printed() {
  local to="$1"
  shift
  rm -f "$to"
  "$@" | tee "$to.new"
  [[ ${PIPESTATUS[0]} == 0 ]] && mv "$to.new" "$to"
}

has_torch() {
  "$python" -c "import torch, transformers" 2>/dev/null && return
  echo "skipped: $python has no PyTorch with transformers"
  return 77
}

kernels() {
  printed "$work/kernels.md" "$work/bin/kernels" || return
  if has_torch; then printed "$work/attention.md" "$python" "$root/bench/cuda/torch_attention.py"; fi
}

steps() { printed "$work/steps.md" "$work/bin/steps"; }

peers() {
  has_torch || return
  exec "$python" -u "$root/bench/peers/compare.py" --device cuda --bin "$work/bin" --work "$work/peers" \
    --repetitions 7 --trial_limit 150 --only "$1" ${SENTENCES:+--sentences "$SENTENCES"}
}

page() {
  [[ -f "$work/benchmarks.md" ]] || cp "$root/docs/benchmarks.md" "$work/benchmarks.md"
  "$python" "$root/bench/peers/gpu_page.py" "$work" --page "$work/benchmarks.md"
}

export -f compile compile_test compiled on_device build run_tests operations models sanitize printed has_torch kernels \
  steps peers page
export PATH root work headers cuda jobs python
part build 590 bash -c build
part operations 300 bash -c operations
part models 580 bash -c models
part memcheck 580 bash -c "sanitize memcheck"
part racecheck 580 bash -c "sanitize racecheck"
part kernels 400 bash -c kernels
part steps 200 bash -c steps
part translation 580 bash -c "peers translation"
part masked_lm 580 bash -c "peers masked"
part page 60 bash -c page

printf '\n%s\n' "$device"
printf '%s\n' "${summary[@]}"
exit $failed
