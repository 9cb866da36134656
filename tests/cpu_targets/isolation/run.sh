#!/bin/sh
# run.sh <isolate_target.sh> <check_isolation.py> <build folder> <python> <nm> <objcopy> <objdump> <readelf> <compiler>...
#
# Builds a small program of units for several instruction sets by each compiler, linker and set of options that is here,
# checks that none of their functions meet, and runs it, also on a processor that has the baseline alone. Without
# isolate_target.sh, the check must find that they do meet; and it must find instructions that are planted in units for sets
# that lack them.

set -eu
here=$(dirname "$0")
isolate=$1 check=$2 build=$3 python=$4 nm=$5 objcopy=$6 objdump=$7 readelf=$8
shift 8

has() { command -v "$1" > /dev/null; }
check() { "$python" "$check" --nm "$nm" --objdump "$objdump" --readelf "$readelf" "$@"; }

# units <folder> <yes or no: isolated> <compiler> <option>...
units() {
  folder=$1 isolated=$2
  shift 2
  rm -rf "$folder"
  mkdir -p "$folder"
  "$@" -std=c++20 -fPIC -DUNIT=baseline -c "$here/unit.cpp" -o "$folder/baseline.o"
  "$@" -std=c++20 -fPIC -c "$here/main.cpp" -o "$folder/main.o"
  for set in avx2 avx512; do
    options="-mavx2 -mfma -fno-lto -DUNIT=$set"
    [ $set = avx2 ] || options="$options -mavx512f -mavx512bw -mavx512dq -mavx512vl -mprefer-vector-width=512"
    launcher=
    [ "$isolated" = no ] || launcher="sh $isolate $set $nm $objcopy"
    $launcher "$@" -std=c++20 -fPIC $options -c "$here/unit.cpp" -o "$folder/$set.o"
  done
  # The newest first, which the linker would prefer.
  ar crs "$folder/units.a" "$folder/avx512.o" "$folder/avx2.o" "$folder/baseline.o"
}

# program <folder> <compiler> <option of the link>...
program() {
  folder=$1
  shift
  "$@" "$folder/avx512.o" "$folder/main.o" "$folder/units.a" -o "$folder/program"
  check --program "$folder/program"
  runs "$folder/program"
  echo "apart: $(basename "$folder"), linked by $*"
}

runs() {
  "$1"
  if has qemu-x86_64; then qemu-x86_64 -cpu Nehalem "$1"; fi
}

# found <argument of the check>...
found() {
  if check "$@" > "$build/found"; then
    echo "check_isolation.py $* finds no fault, but these units share their functions"
    exit 1
  fi
}

# plant <folder> <compiler> <set> <instruction> <its option>: a library with a unit for the set that has the instruction.
plant() {
  folder=$1 compiler=$2 set=$3
  options="-mavx2 -mfma"
  case $set in avx512*) options="$options -mavx512f -mavx512bw -mavx512dq -mavx512vl -mprefer-vector-width=512" ;; esac
  sh "$isolate" "$set" "$nm" "$objcopy" "$compiler" -std=c++20 -O3 -fPIC $options "$5" "-DUNIT=$set" \
    "-DPLANTED=\"$4\"" -c "$here/unit.cpp" -o "$folder/$set.o"
  rm -f "$folder/one.a"
  ar crs "$folder/one.a" "$folder/$set.o" "$folder/baseline.o"
}

# found_in <folder> <compiler> <set> <instruction> <its option>
found_in() {
  plant "$@"
  mnemonic=$(echo "$4" | sed 's/^{vex} //; s/ .*//')
  if check --library "$1/one.a" > "$build/found" || ! grep -q ": $mnemonic" "$build/found"; then
    echo "check_isolation.py does not find $4 in a unit for $3"
    exit 1
  fi
}

# belongs_to <folder> <compiler> <set> <instruction> <its option>
belongs_to() {
  plant "$@"
  check --library "$1/one.a"
}

for compiler in "$@"; do
  has "$compiler" || continue
  kind=$build/$(basename "$compiler")
  for options in "-O0 -g" "-O2" "-O3 -ffunction-sections -fdata-sections" "-O3 -fvisibility=hidden"; do
    folder=$kind$(echo "$options" | tr -d ' ')
    units "$folder" yes "$compiler" $options
    case $options in -O3*) check --library "$folder/units.a" ;; esac  # with less, vectors are few
    program "$folder" "$compiler" -Wl,--gc-sections
  done

  folder=$kind-linkers
  units "$folder" yes "$compiler" -O3
  for linker in bfd gold lld mold; do
    if has ld.$linker; then program "$folder" "$compiler" -fuse-ld=$linker; fi
  done
  # The C library, static, has functions for many instruction sets of its own, so this is only run.
  "$compiler" -static "$folder/avx512.o" "$folder/main.o" "$folder/units.a" -o "$folder/program"
  runs "$folder/program"

  "$compiler" -shared "$folder/avx512.o" "$folder/avx2.o" "$folder/baseline.o" -o "$folder/libunits.so"
  "$compiler" "$folder/main.o" "$folder/libunits.so" "-Wl,-rpath,$folder" -o "$folder/program"
  check --program "$folder/libunits.so"
  runs "$folder/program"
  echo "apart: $folder/libunits.so"

  # Optimised at link time, all but the units for further sets.
  lto=
  case $compiler in *clang*) lto=-fuse-ld=lld ;; esac
  if [ -z "$lto" ] || has ld.lld; then
    units "$kind-lto" yes "$compiler" -O3 -flto
    program "$kind-lto" "$compiler" -O2 -flto $lto
  fi

  folder=$kind-planted
  units "$folder" no "$compiler" -O3
  "$compiler" "$folder/avx512.o" "$folder/main.o" "$folder/units.a" -o "$folder/program"
  found --library "$folder/units.a"
  found --program "$folder/program"

  found_in "$folder" "$compiler" avx2 "{vex} vpdpbusd %ymm0, %ymm1, %ymm2" -mavxvnni
  found_in "$folder" "$compiler" avx512 "vpdpbusd %zmm0, %zmm1, %zmm2" -mavx512vnni
  found_in "$folder" "$compiler" avx512_vnni "vdpbf16ps %zmm0, %zmm1, %zmm2" -mavx512bf16
  for set in avx2 avx2_vnni avx512 avx512_vnni; do
    found_in "$folder" "$compiler" $set "tilezero %tmm0" -mamx-tile
    found_in "$folder" "$compiler" $set "tdpbf16ps %tmm0, %tmm1, %tmm2" -mamx-bf16
  done
  belongs_to "$folder" "$compiler" avx2_vnni "{vex} vpdpbusd %ymm0, %ymm1, %ymm2" -mavxvnni
  belongs_to "$folder" "$compiler" avx512_vnni "vpdpbusd %zmm0, %zmm1, %zmm2" -mavx512vnni
  belongs_to "$folder" "$compiler" avx512_bf16 "tdpbf16ps %tmm0, %tmm1, %tmm2" -mamx-bf16

  # Code that runs when a program starts runs on every processor.
  echo "#include <string>
  std::string early(\"a text that lies on the heap\");" > "$folder/early.cpp"
  if sh "$isolate" avx2 "$nm" "$objcopy" "$compiler" -mavx2 -c "$folder/early.cpp" -o "$folder/early.o" 2> "$build/found" ||
    [ -e "$folder/early.o" ] || ! grep -q "would run code before" "$build/found"; then
    echo "isolate_target.sh takes a unit with code that runs when a program starts"
    exit 1
  fi
  echo "found: the faults of $folder"
done
