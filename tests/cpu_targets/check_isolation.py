"""Checks that units for several instruction sets keep their functions apart.

--library LIB: no weak definition of one unit may have the name of another unit's, apart from types' identities; units of the
baseline have no instructions beyond it, and those of a set none beyond the set; those of a set with VNNI use it.
--program FILE: instructions beyond the baseline occur only in functions whose names end in the name of a set.
"""

import argparse
import collections
import re
import subprocess
import sys

SETS = ("avx2", "avx2_vnni", "avx512", "avx512_vnni", "avx512_bf16")
SHARED = re.compile(r"_ZT[IS]")
AMX = r"((ld|st)tilecfg|tile(loaddt?1|loadd|stored|zero|release)|tdp\w+)\b"
# VEX and EVEX instructions begin with v; those of older ones that do are for hypervisors and segments.
BEYOND_BASELINE = re.compile(
    r"(v(?!er[rw]\b|m(call|launch|resume|xoff|xon|func|clear|ptrld|ptrst|read|write)\b)\w+"
    r"|andn|bextr|bls[ir]|blsmsk|sh[lr]x|sarx|rorx|mulx|pdep|pext|lzcnt|movbe|popcnt)\b|" + AMX)
# By their registers: of 64 bytes, from the 16th on, masks, tiles.
BEYOND_AVX2 = re.compile(r"%zmm|%[xy]mm(1[6-9]|2\d|3[01])|%k[0-7]|%tmm")
BFLOAT16 = re.compile(r"v(dpbf16|cvtne2?ps2?bf16)|" + AMX)
VNNI = re.compile(r"vpdp(bus|wss)ds?\b")


def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def set_of(symbol):
    suffix = symbol.rpartition(".")[2]
    return suffix if suffix in SETS else None


def members(text, header):
    """The lines of each member of an archive, in order; their names may be equal."""
    found = []
    for line in text.splitlines():
        match = header.match(line)
        if match:
            found.append((match.group(1), []))
        elif found:
            found[-1][1].append(line)
    return found


def too_new(instruction, operands, allowed):
    if allowed is None:
        return BEYOND_BASELINE.match(instruction)
    return (allowed.startswith("avx2") and BEYOND_AVX2.search(operands)
            or allowed != "avx512_bf16" and BFLOAT16.match(instruction)
            or allowed in ("avx2", "avx512") and VNNI.match(instruction))


def instructions(lines):
    """(function, mnemonic, operands) of objdump's lines."""
    function = "?"
    for line in lines:
        head = re.match(r"[0-9a-f]+ <(.*)>:$", line)
        if head:
            function = head.group(1)
            continue
        code = re.match(r"\s*[0-9a-f]+:\t(?:(?:lock|rep\w*|data16|cs|ds|notrack|bnd|\{\w+\}) )*(\w+)(.*)", line)
        if code:
            yield function, code.group(1), code.group(2)


def check_library(tools, path):
    faults, definitions, used = [], collections.defaultdict(list), collections.defaultdict(set)
    names = members(run(tools.nm, "-P", "--defined-only", path), re.compile(r".*\[(.+)\]:$"))
    groups = members(run(tools.readelf, "-gW", path), re.compile(r"File: .*\((.+)\)$"))
    code = members(run(tools.objdump, "-d", "--no-show-raw-insn", path), re.compile(r"(\S+):\s+file format"))
    if not names or [n for n, _ in names] != [n for n, _ in groups] or len(names) != len(code):
        return [f"{path}: the tools do not agree about its members"], 0
    sets = []
    for index, (member, lines) in enumerate(names):
        symbols = [line.split()[:2] for line in lines if len(line.split()) > 1]
        found = {set_of(name) for name, _ in symbols} - {None}
        if len(found) > 1:
            faults.append(f"{member}: functions for {sorted(found)} in one unit")
        own = min(found) if found else None
        sets.append(own)
        for name, kind in symbols:
            if kind in "WVu" or kind in "TDRB":
                definitions[name].append(index)
            if own and kind in "WVu" and set_of(name) != own and not SHARED.match(name):
                faults.append(f"{member}: {name} is of {own}, and its name does not say so")
        for line in groups[index][1]:
            signature = re.search(r"COMDAT group section.*\[([^\]]+)\] contains", line)
            if signature:
                name = signature.group(1)
                definitions["group " + name].append(index)
                if own and set_of(name) != own and not SHARED.match(name):
                    faults.append(f"{member}: the group {name} is of {own}, and its name does not say so")
        for function, instruction, operands in instructions(code[index][1]):
            used[own].update(re.findall(r"%([xyz]mm)", operands))
            if VNNI.match(instruction):
                used[own].add("VNNI")
            if too_new(instruction, operands, own):
                faults.append(f"{member}: {instruction}{operands} in {function}, which is of {own or 'the baseline'}")
    for name, where in definitions.items():
        different = {sets[index] for index in where}
        if len(different) > 1 and not SHARED.match(name.removeprefix("group ")):
            faults.append(f"{name} is defined for {sorted(one or 'the baseline' for one in different)}")
    for own, found in used.items():
        width = "xmm" if own is None else "ymm" if own.startswith("avx2") else "zmm"
        for wanted in [width, "VNNI"] if (own or "").endswith("_vnni") else [width]:
            if wanted not in found:
                faults.append(f"the units of {own or 'the baseline'} do not use {wanted}")
    return faults, len(set(sets))


def check_program(tools, path):
    faults, seen = [], set()
    for function, instruction, operands in instructions(
            run(tools.objdump, "-d", "--no-show-raw-insn", path).splitlines()):
        own = set_of(function.partition("@")[0])
        seen.add(own)
        if too_new(instruction, operands, own):
            faults.append(f"{path}: {instruction}{operands} in {function}, which is of {own or 'the baseline'}")
    return faults, len(seen)


def main():
    parser = argparse.ArgumentParser()
    for tool in ("nm", "objdump", "readelf"):
        parser.add_argument(f"--{tool}", default=tool)
    parser.add_argument("--library")
    parser.add_argument("--program")
    tools = parser.parse_args()
    check, path = (check_library, tools.library) if tools.library else (check_program, tools.program)
    faults, sets = check(tools, path)
    for fault in faults[:20]:
        print(fault)
    if len(faults) > 20:
        print(f"and {len(faults) - 20} more")
    if sets < 2:
        print(f"{path}: there are units of one instruction set alone, so this says nothing")
    sys.exit(1 if faults or sets < 2 else 0)


main()
