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
#   GPU_ARCH      what the kernels are compiled for, such as sm_90, instead of this machine's GPU: then `build` alone
#                 needs no GPU, and what it built elsewhere runs here if WORK comes along and `build` is left out
#   CPU_ARCH      what everything else is compiled for (native)
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
asked() { nvidia-smi "--query-gpu=$1" --format=csv,noheader 2>/dev/null | head -n 1; }
if ! device="$(asked name,driver_version)" || [[ -z "$device" ]]; then
  if [[ -z "${GPU_ARCH:-}" || "${parts[*]}" != build ]]; then
    echo "skipped: there is no GPU" >&2
    exit 77
  fi
  device="none"
fi
capability="$(asked compute_cap)"  # such as 9.0
[[ "$capability" =~ ^[0-9]+\.[0-9]+$ ]] && arch="sm_${capability/./}" || arch=native
arch="${GPU_ARCH:-$arch}"
cuda="$(cd "$(dirname "$(readlink -f "$nvcc")")/.." && pwd)"
PATH="$(dirname "$nvcc"):$cuda/bin:$cuda/compute-sanitizer:$PATH"
echo "device: $device, kernels for $arch"

# A toolkit may lack cuBLASLt where PyTorch brought it along.
packages="$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' 2>/dev/null)/nvidia"
first_with() {  # FILE FOLDER...: the first folder that holds the file
  local file="$1" folder
  shift
  for folder in "$@"; do
    compgen -G "$folder/$file" >/dev/null && echo "$folder" && return
  done
}
cublas_headers="$(first_with cublasLt.h "$cuda/include" "$cuda"/targets/*/include "$packages"/*/include)"
libraries=("$cuda/lib64" "$cuda/lib" "$cuda"/targets/*/lib "$packages"/*/lib)
cublas_library="$(first_with 'libcublasLt.so.*' "${libraries[@]}")"
cudart_library="$(first_with libcudart_static.a "${libraries[@]}")"

summary=()
failed=0
# part NAME SECONDS COMMAND...: runs it if it was asked for; what it prints goes to a file, the end of which is shown.
part() {
  local name="$1" seconds="${SECONDS_EACH:-$2}" begin=$SECONDS status
  shift 2
  [[ " ${parts[*]} " == *" $name "* ]] || return 0
  echo "== $name (at most $seconds s)"
  deadline=$(($(date +%s) + seconds)) timeout --kill-after=10 "$seconds" "$@" >"$work/$name.log" 2>&1
  status=$?
  # After a device's first error all its calls fail, so the first one counts.
  [[ $status == 0 || $status == 77 ]] || grep -vE 'No errors detected|ERROR SUMMARY: 0 errors' "$work/$name.log" |
    grep -m 30 -E '^-- |[Ee]rror|FAILED|out of time|={9}'
  tail -n 15 "$work/$name.log"
  case $status in
    0) status=passed ;;
    77) status=skipped ;;
    124 | 137) status="out of time" failed=1 ;;
    *) status="FAILED ($status)" failed=1 ;;
  esac
  summary+=("$(printf '%-12s %-14s %4d s   %s' "$name" "$status" $((SECONDS - begin)) "$work/$name.log")")
}

# compiled PROGRAM SOURCE OPTION...: PROGRAM.o, unless it is newer than all that it is made of. Its options are written
# into the log where it fails.
compiled() {
  local program="$1" source="$2" used file
  shift 2
  local options=(-std=c++20 -O2 "-march=${CPU_ARCH:-native}" -w "-I$root/include" "-I$root/tests" "-I$root/bench"
    -isystem "$headers" -isystem "$headers/eigen3" -isystem "$cuda/include" "$@")
  if [[ -f "$program.o" ]]; then
    used="$(g++ "${options[@]}" -MM "$source")" || return
    for file in "$source" $(sed -e 's/^[^:]*://' -e 's/\\$//' <<<"$used"); do
      [[ "$program.o" -nt "$file" ]] || used=""
    done
    [[ -z "$used" ]] || return 0
  fi
  echo "compiling $(basename "$program")"
  g++ "${options[@]}" -c "$source" -o "$program.o.new" && mv "$program.o.new" "$program.o" ||
    { rm -f "$program" "$program.o"; echo "FAILED: g++ ${options[*]} $source"; return 1; }
}

# linked PROGRAM: of PROGRAM.o and the kernels, unless it is newer than both.
linked() {
  [[ "$1" -nt "$1.o" && "$1" -nt "$work/kernels.o" ]] && return
  g++ "$1.o" "$work/kernels.o" -o "$1.new" ${cublas_library:+"-Wl,-rpath,$cublas_library"} "-L$cudart_library" \
    -lcudart_static -ldl -lrt -pthread && mv "$1.new" "$1" || { rm -f "$1"; echo "FAILED: linking $1"; return 1; }
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

compile_kernels() {
  [[ ! "$work/kernels.o" -nt "$root/cmake/stubs/cuda.cu" ||
    -n "$(find "$root/include" -newer "$work/kernels.o" -type f)" ]] || return 0
  echo "compiling the kernels"
  nvcc -std=c++20 -O3 --expt-relaxed-constexpr -lineinfo "-arch=$arch" "-I$root/include" \
    ${cublas_headers:+"-I$cublas_headers"} -c "$root/cmake/stubs/cuda.cu" -o "$work/kernels.o.new" &&
    mv "$work/kernels.o.new" "$work/kernels.o" || { rm -f "$work/kernels.o"; echo "FAILED: nvcc"; return 1; }
}

# The kernels take longest, so all is compiled beside them, and linked afterwards.
build() {
  local bad=0
  compile_kernels &
  printf '%s\n' ours_training steps kernels "$root"/tests/*/test_*.cpp |
    xargs -P "$jobs" -I '{}' bash -c 'compile "$1"' _ '{}' || bad=1
  wait $! || return 1
  printf '%s\n' "$work"/bin/*.o "$work"/tests/*.o | xargs -P "$jobs" -I '{}' bash -c 'linked "${1%.o}"' _ '{}' || bad=1
  return $bad
}

# Our programs find cuBLASLt, wherever they were linked; PyTorch keeps its own.
ours() { LD_LIBRARY_PATH="$cublas_library${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" "$@"; }

# run_tests SECONDS COMMAND... -- PROGRAM...: every test program, under the command, each for so long at most and before
# the part's time is up; one that fails does not stop others. A device reports a kernel's error later, with whatever call
# comes next: the program runs again, waiting for each kernel, and the error names it.
run_tests() {
  local most="$1" command=() bad=0 found=0 program seconds status
  shift
  while [[ "$1" != -- ]]; do
    command+=("$1")
    shift
  done
  shift
  for program in "$@"; do
    [[ -x "$program" && "$program" != *.cpp* ]] || continue
    found=1
    echo "-- $(basename "$program")"
    seconds=$((deadline - $(date +%s) - 3))
    [[ $seconds -le $most ]] || seconds=$most
    [[ $seconds -gt 0 ]] || { echo "out of time: not run"; bad=1; continue; }
    ours timeout --kill-after=5 "$seconds" "${command[@]}" "$program" --color_output=no \
      --log_level=test_suite 2>&1 | tee "$program.log"  # which case hangs, and how long each takes
    status=${PIPESTATUS[0]}
    [[ $status != 0 ]] || continue
    bad=1
    if [[ $status == 124 || $status == 137 ]]; then
      echo "out of time: $(basename "$program"), $seconds s"
    elif [[ "${command[0]}" == env ]] && grep -qE 'cannot be started|cuda[A-Za-z]+ failed' "$program.log"; then
      echo "-- $(basename "$program") again, waiting for each kernel; its first error:"
      ours env CUDA_LAUNCH_BLOCKING=1 timeout --kill-after=5 60 "$program" --color_output=no 2>&1 | grep -m 1 error
    fi
  done
  [[ $found == 1 ]] || { echo "nothing is built"; bad=1; }
  return $bad
}

operations() { run_tests 120 env -- "$work"/tests/backend_test_*; }

models() {
  local program others=()
  for program in "$work"/tests/*_test_*; do
    [[ "$program" == */backend_test_* ]] || others+=("$program")
  done
  run_tests 240 env -- "${others[@]}"
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
  run_tests 240 compute-sanitizer --tool "$1" "${which[@]}" --error-exitcode 9 -- "$work"/tests/backend_test_*
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
  printed "$work/kernels.md" ours "$work/bin/kernels" || return
  if has_torch; then printed "$work/attention.md" "$python" "$root/bench/cuda/torch_attention.py"; fi
}

steps() { printed "$work/steps.md" ours "$work/bin/steps"; }

peers() {
  has_torch || return
  exec "$python" -u "$root/bench/peers/compare.py" --device cuda --bin "$work/bin" --work "$work/peers" \
    --repetitions 7 --trial_limit 150 --only "$1" ${SENTENCES:+--sentences "$SENTENCES"}
}

page() {
  [[ -f "$work/benchmarks.md" ]] || cp "$root/docs/benchmarks.md" "$work/benchmarks.md"
  "$python" "$root/bench/peers/gpu_page.py" "$work" --page "$work/benchmarks.md"
}

export -f compile compile_kernels compile_test compiled linked on_device build ours run_tests operations models sanitize \
  printed has_torch kernels steps peers page
export PATH root work headers cuda jobs python arch cublas_headers cublas_library cudart_library
export NEURAL_ATTENTION_GOLDEN_DIR="$root/tests/golden"  # the tests may have been built in another folder
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
