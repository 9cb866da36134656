#!/usr/bin/env python3
"""Fails where more than 12 lines of code stand twice, names aside, within one of these groups of files:

  - the backends: backend/cpu, backend/cuda, and the test backends;
  - the example programs, with their option code.

  check_repeats.py [--source DIR]    checks the files of the project
  check_repeats.py --planted         checks the check: it must find planted repeats, and nothing else

Two runs of lines are equal where one becomes the other by renaming identifiers one to one, by changing numbers and
strings, and by breaking lines elsewhere. Blank lines, comments, lines that only hold a string, #include and #pragma do
not count.
"""

import argparse
import bisect
import itertools
import pathlib
import re
import sys

MOST_LINES = 12
FEWEST_TOKENS = 2 * (MOST_LINES + 1)  # in a run of interest
TEXT_ONLY = set(['""', ",", "(", ")", "{", "}", ";"])

GROUPS = {
    "backends": [
        "include/neural_attention/backend/*.hpp",
        "include/neural_attention/backend/cpu/*.hpp",
        "include/neural_attention/backend/cuda/*.hpp",
        "include/neural_attention/backend/cuda/*.cuh",
        "include/neural_attention/testing/*.hpp",
        "tests/backend/*.hpp",
        "tests/cuda/*.hpp",
        "tests/models/perturbed.hpp",
        "tests/models/stored_bfloat16.hpp",
    ],
    "programs": ["examples/**/*.hpp", "examples/**/*.cpp"],
}

KEYWORDS = set(
    """alignas alignof auto bool break case catch char class concept const consteval constexpr constinit const_cast
    continue decltype default delete do double dynamic_cast else enum explicit extern false float for friend goto if
    inline int long mutable namespace new noexcept nullptr operator private protected public register reinterpret_cast
    requires return short signed sizeof static static_assert static_cast struct switch template this thread_local throw
    true try typedef typeid typename union unsigned using virtual void volatile while std""".split()
)
COMMENT_OR_STRING = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])+'(?!\w)", re.DOTALL)
TOKEN = re.compile(r"[A-Za-z_]\w*|\.?\d(?:[\w.']|[eEpP][+-])*|\"\"|\S")


def without_comments(text):
    """The same lines without comments, with every string empty."""

    def replacement(match):
        found = match.group()
        return '""' if found[0] in "\"'" else "\n" * found.count("\n")

    return COMMENT_OR_STRING.sub(replacement, text)


class Code:
    """The tokens of a file; where its lines begin, and on which line of the file each token stands. A string in
    pieces is one token."""

    def __init__(self, name, text):
        self.name = name
        self.tokens, self.line_of, self.line_starts = [], [], []
        for number, line in enumerate(without_comments(text).split("\n"), 1):
            if line.strip() and not re.match(r"\s*#\s*(include|pragma)\b", line):
                tokens = ["0" if re.match(r"\.?\d", token) else token for token in TOKEN.findall(line)]
                if '""' not in tokens or not set(tokens) <= TEXT_ONLY:
                    self.line_starts.append(len(self.tokens))
                for token in tokens:
                    if not (token == '""' and self.tokens and self.tokens[-1] == '""'):
                        self.tokens.append(token)
                        self.line_of.append(number)
        self.line_starts_and_end = self.line_starts + [len(self.tokens)]

    def whole_lines(self, first, last):
        """How many lines lie between two tokens, the first at the start of a line and the last left out."""
        starts = self.line_starts_and_end
        return bisect.bisect_right(starts, last) - 1 - bisect.bisect_left(starts, first)


def is_name(token):
    return (token[0].isalpha() or token[0] == "_") and token not in KEYWORDS


def shape(tokens):
    """The tokens with a number in place of each name, counted as they come."""
    numbers = {}
    return tuple(numbers.setdefault(token, len(numbers)) if is_name(token) else token for token in tokens)


def equal_tokens(left, i, right, j):
    """How many tokens from left[i] and right[j] on are equal when names may be exchanged one to one."""
    there, back = {}, {}
    count = 0
    most = min(len(left.tokens) - i, len(right.tokens) - j, j - i if left is right else len(left.tokens))
    while count < most:
        a, b = left.tokens[i + count], right.tokens[j + count]
        if is_name(a) != is_name(b):
            break
        if is_name(a):
            if there.setdefault(a, b) != b or back.setdefault(b, a) != a:
                break
        elif a != b:
            break
        count += 1
    return count


def repeats(files):
    """Runs that stand twice, longest first: (lines, (name, first line, last line), the same of the other place)."""
    codes = [Code(name, text) for name, text in files]
    places = {}
    for file, code in enumerate(codes):
        for start in code.line_starts:
            beginning = code.tokens[start : start + FEWEST_TOKENS]
            if len(beginning) == FEWEST_TOKENS:
                places.setdefault(shape(beginning), []).append((file, start))
    candidates = []
    for same in places.values():
        for (left, i), (right, j) in itertools.combinations(same, 2):
            count = equal_tokens(codes[left], i, codes[right], j)
            lines = max(codes[left].whole_lines(i, i + count), codes[right].whole_lines(j, j + count))
            if lines > MOST_LINES:
                candidates.append((lines, count, left, i, right, j))
    candidates.sort(key=lambda run: (-run[0], run[1:]))
    found = []
    taken = set()  # tokens of runs that were found: a shorter run inside them is no news
    for lines, count, left, i, right, j in candidates:
        if (left, i) in taken and (right, j) in taken:
            continue
        taken.update((left, i + k) for k in range(count))
        taken.update((right, j + k) for k in range(count))
        ends = [(codes[file].name, codes[file].line_of[at], codes[file].line_of[at + count - 1])
                for file, at in ((left, i), (right, j))]
        found.append((lines, *ends))
    return found


def check(source):
    failed = False
    for group, patterns in GROUPS.items():
        paths = sorted({path for pattern in patterns for path in source.glob(pattern)})
        if not paths:
            sys.exit(f"{source} has no files of the group {group}")
        files = [(str(path.relative_to(source)), path.read_text(encoding="utf-8")) for path in paths]
        for length, (left, a, b), (right, c, d) in repeats(files):
            print(f"{left}:{a}-{b} and {right}:{c}-{d}: {length} lines are equal, names aside")
            failed = True
    if failed:
        sys.exit(f"Write code once that stands twice: at most {MOST_LINES} lines may be equal.")


def check_planted():
    run = [f"  {name}({value}, width + {name}_size);" for value, name in enumerate("abcdefghijklm")]
    renamed = [re.sub(r"\b(\w+)_size", r"\1_count", line).replace("width", "height") for line in run]
    other_size = renamed[:6] + [renamed[6].replace("g_count", "a_count")] + renamed[7:]
    commented = renamed[:6] + ["  // a comment", "", "#include <vector>"] + renamed[6:]
    wrapped = [line.replace("(", "(\n    ") for line in renamed]
    cases = [
        ("13 renamed lines", run, renamed, 1),
        ("13 lines around a comment", run, commented, 1),
        ("12 lines, broken in two", run[:12], wrapped[:12], 1),
        ("6 lines, broken in two", run[:6], wrapped[:6], 0),
        ("12 lines, one with a string of two lines", [*run[:11], 'f("a");'], [*renamed[:11], 'f("a"', '"b");'], 0),
        ("12 lines", run[:12], renamed[:12], 0),
        ("a name that stands for two", run, other_size, 0),
        ("an operator that differs", run, renamed[:6] + [renamed[6].replace("+", "-")] + renamed[7:], 0),
        ("13 lines twice in one file", run + ["struct S {};"] + renamed, ["int other;"], 1),
        ("a list of equal lines", ["  add(1);"] * 14, ["int other;"], 0),
    ]
    for what, left, right, wanted in cases:
        found = repeats([("left.hpp", "\n".join(left)), ("right.hpp", "\n".join(right))])
        if len(found) != wanted:
            sys.exit(f"{what}: {wanted} repeats are expected, found are {found}")
    print(f"{len(cases)} planted cases are judged as they must be")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    parser.add_argument("--planted", action="store_true")
    arguments = parser.parse_args()
    if arguments.planted:
        check_planted()
    else:
        check(arguments.source)


if __name__ == "__main__":
    main()
