#!/bin/sh
# isolate_target.sh <set> <nm> <objcopy> <compiler> <argument>...
#
# Compiles, then gives the functions of the object names of its own: `f` becomes `f.avx2`. Inline functions and templates,
# of the standard library and Eigen, too, have one name in all objects, and the linker takes any of their definitions.
# Here this definition may have instructions that the processor lacks, and the program would use it everywhere.
#
# The same goes for inline variables, which may hold addresses of functions (virtual tables, tables of kernels), and for
# the signatures of section groups, by which the linker drops one of two definitions. Only types' identities
# (_ZTI, _ZTS) keep their names, so that an exception from here can be caught elsewhere. Symbols that are not weak keep
# theirs: the tables of kernels, by which the rest of the program calls these functions.

set -e
target=$1 nm=$2 objcopy=$3
shift 3
"$@"

object= previous= compiles=
for argument; do
  [ "$previous" = -o ] && object=$argument
  [ "$argument" = -c ] && compiles=yes
  previous=$argument
done
[ -n "$compiles" ] && [ -n "$object" ] || exit 0

names=$object.names
trap 'rm -f "$names" "$names.all" "$names.o"' EXIT
"$nm" -P --defined-only "$object" > "$names.all"
if grep -Eq '^(_GLOBAL__(sub_)?I_|_sub_I_|__cxx_global_var_init)' "$names.all"; then
  rm -f "$object"
  echo "$object: kernels for $target would run code before the processor is asked whether it has $target;" \
    "do not set options that add such code (-fsanitize=..., --coverage), or set NEURAL_ATTENTION_CPU_TARGETS=OFF" >&2
  exit 1
fi
# Weak functions and objects (W, V, u), functions of this object alone (t), and signatures of groups (n).
awk -v target="$target" '$2 ~ /^[WVutn]$/ && $1 !~ /^_ZT[IS]/ && !seen[$1]++ { print $1, $1 "." target }' \
  "$names.all" > "$names"
"$objcopy" "--redefine-syms=$names" "$object" "$names.o"
mv "$names.o" "$object"
