#!/usr/bin/env python3
"""Fails where a C++ or CUDA file breaks a rule of style that clang-format leaves open (CONTRIBUTING.md):

  - a statement in one line has no braces around it, unless another branch of its `if` needs them;
  - comments are `//`; in headers, `///` stands above a declaration and `///<` after one.

  check_style.py [--source DIR]    checks the files of the project
  check_style.py --planted         checks the check: it must find planted faults, and nothing else

It reads what clang-format has formatted.
"""

import argparse
import pathlib
import re
import sys

FOLDERS = ("include", "examples", "tests", "bench", "cmake")
ENDINGS = (".hpp", ".cpp", ".cuh", ".cu")

HEAD = re.compile(r"(?P<indent> *)(?P<close>\} )?(?P<word>if|else|for|while)\b.*\{$")
DECLARATION = re.compile(r"(alignas|class|concept|const|constexpr|enum|inline|static|struct|template|using)\b")
STATEMENT = re.compile(r" *[^ /#}].*;( *//.*)?$")
NEEDS_BRACES = re.compile(r" *(const|constexpr|static|auto|using|for|if|while|switch)\b")
STRING = re.compile(r'"(?:\\.|[^"\\])*"')


def branches(lines, at):
    """The branches of the statement that begins at line `at` with a brace: whether each has braces, and its lines."""
    indent = HEAD.match(lines[at]).group("indent")
    found = []
    while True:
        end = at + 1
        while end < len(lines) and not lines[end].startswith(indent + "}"):
            end += 1
        if end == len(lines):
            return []
        found.append((True, lines[at + 1 : end]))
        if not lines[end].startswith(indent + "} else"):
            return found
        at = end
        while not lines[at].endswith(("{", ";")):  # the condition goes on
            at += 1
        if lines[at].endswith(";"):
            return [*found, (False, [])]


def faults_of_braces(lines):
    for at, line in enumerate(lines):
        head = HEAD.match(line)
        if not head or head.group("close"):
            continue
        if head.group("word") == "else":
            yield at, "another branch has no braces"
            continue
        found = branches(lines, at)
        if any(not braces for braces, _ in found):
            yield at, "another branch has no braces"
        elif found and all(
            len(body) == 1 and STATEMENT.match(body[0]) and not NEEDS_BRACES.match(body[0]) for _, body in found
        ):
            yield at, "braces around a statement in one line"


def faults_of_comments(lines, header):
    first = 0
    while first < len(lines) and lines[first].startswith("//"):
        first += 1
    for at, line in enumerate(lines):
        code = STRING.sub('""', line)
        comment = code.find("//")
        before = code if comment < 0 else code[:comment]
        if "/*" in before or "//!" in code:
            yield at, "a comment that is not //"
        if not header or at < first:
            continue
        above = at + 1 < len(lines) and line.startswith("// ") and DECLARATION.match(lines[at + 1])
        above = above and not line.startswith("// clang-format")
        behind = DECLARATION.match(line) and before.rstrip().endswith(";") and code[comment:].startswith("// ")
        if above:
            yield at, "a comment above a declaration that is not ///"
        if behind and comment >= 0:
            yield at, "a comment behind a declaration that is not ///<"


def faults(text, header):
    lines = text.split("\n")
    return sorted([*faults_of_braces(lines), *faults_of_comments(lines, header)])


def check(source):
    count = 0
    for folder in FOLDERS:
        for path in sorted((source / folder).rglob("*")):
            if path.suffix not in ENDINGS:
                continue
            for at, fault in faults(path.read_text(), path.suffix in (".hpp", ".cuh")):
                print(f"{path.relative_to(source)}:{at + 1}: {fault}")
                count += 1
    return count == 0


PLANTED = """// A header.
// int never_used;
#pragma once

// fault
inline int one = 1;
/// Right.
inline int two = 2;     ///< right
inline int three = 3;   // fault
/* fault */
inline void body(int x) {
  if (x) {  // right
    one = 1;
    two = 2;
  }
  if (x) {  // fault {
    one = 1;
  }
  if (x) {
    const int y = 1;
  }
  for (;;) {  // fault {
    one = 1;
  }
  if (x) {
    one = 1;
  } else {
    one = 1;
    two = 2;
  }
  if (x) {  // fault {
    one = 1;
  } else if (two) {
    one = 2;
  }
  if (x) {  // fault {
    one = 1;
    two = 2;
  } else
    one = 2;
  if (x) {
    one = 1;
    two = 2;
  } else if (two ||
             three) {
    one = 2;
  }
  if (x)
    one = 1;
  else {  // fault {
    one = 2;
    two = 1;
  }
  if (x)
    one = 1;
  else
    for (;;) two = 1;
  // Not a declaration.
  const char* text = "/* no comment */";
}
"""


def check_planted():
    text = re.sub(r"\{  // (right|fault)( \{)?$", lambda m: "{" + ("@" if m[1] == "fault" else ""), PLANTED, flags=re.M)
    expected = {i for i, line in enumerate(text.split("\n")) if "fault" in line or line.endswith("@")}
    found = {at for at, _ in faults(text.replace("@", ""), True)}
    for at in sorted(expected ^ found):
        print(f"line {at + 1} {'is not found' if at in expected else 'is no fault'}: {text.split(chr(10))[at]}")
    return expected == found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    parser.add_argument("--planted", action="store_true")
    arguments = parser.parse_args()
    return 0 if (check_planted() if arguments.planted else check(arguments.source)) else 1


if __name__ == "__main__":
    sys.exit(main())
