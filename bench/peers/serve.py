"""The protocol between compare.py and what it compares: a program says in one line of JSON what it is, then answers
every line of its input with one line of JSON about one timed repetition, and ends where the input ends. serve.hpp is
the same in C++."""

import json
import os
import sys
import time

# What a library prints must not mix with the answers.
_answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def answer(what: dict) -> None:
    print(json.dumps(what), file=_answers, flush=True)


def serve(about: dict, repetition) -> None:
    answer(about)
    for _ in sys.stdin:
        start = time.perf_counter()
        result = repetition()
        answer({**result, "seconds": time.perf_counter() - start})
