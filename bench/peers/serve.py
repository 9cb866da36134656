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


def translations(batches: list, parts: int, translate):
    """The repetition of a translation row: outputs, scores and seconds of the batches, for each of whose sentences
    translate(batch) gives (ids, score). With parts, the first repetition takes a few batches, to warm up, and each other
    the next of so many parts."""
    made = 0

    def repetition() -> dict:
        nonlocal made
        mine = batches
        if parts:
            mine = batches[(made - 1) % parts::parts] if made else batches[:4]
        made += 1
        outputs, scores, latencies = [], [], []
        for batch in mine:
            start = time.perf_counter()
            found = translate(batch)
            latencies.append(time.perf_counter() - start)
            outputs += [ids for ids, _ in found]
            scores += [score for _, score in found]
        return {"outputs": outputs, "scores": scores, "latencies": latencies}

    return repetition
