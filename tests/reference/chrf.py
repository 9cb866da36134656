#!/usr/bin/env python3
"""Writes tests/golden/chrf.json: what sacreBLEU 2.4.3 says of chrF, on the corpora of bleu.json and on some of its own.

    pip install sacrebleu==2.4.3
    python tests/reference/chrf.py

Corpora that bleu.json holds are not stored again; random ones are drawn as for BLEU (bleu.py).
"""
import json
import pathlib

import sacrebleu
from sacrebleu.metrics import CHRF

from bleu import CORPORA, SEED, Stream, random_text

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden" / "chrf.json"
OPTIONS = [(0, 2), (1, 2), (2, 2), (2, 1), (0, 3)]  # word order, beta

# name, hypotheses, reference streams
OWN = [
    ("punctuation at both ends", ["(hi) (hi '' !! ! ?! a. .a .a. -- \"x\""], [["( hi ) (hi '' !! ! ?! a . . a .a . - - \"x \""]]),
    ("single characters", ["a", "\u00e4", "\U0001f600", "."], [["a", "\u00e4", "\U0001f600", "."]]),
    ("characters beyond ASCII before punctuation", ["\u00e4. .\u00e4 \u4f60\uff0c \u20ac!"], [["\u00e4 . . \u00e4 \u4f60 \uff0c \u20ac !"]]),
    ("one emoji of five", ["\U0001f468\u200d\U0001f469\u200d\U0001f467"], [["\U0001f468\u200d\U0001f469\u200d\U0001f466"]]),
    ("accents composed or not", ["caf\u00e9 na\u00efve"], [["cafe\u0301 nai\u0308ve"]]),
    ("other words, same characters", ["the rapist wrote"], [["therapist w rote"]]),
    ("shorter than six characters", ["ab", "abc"], [["ab", "abd"]]),
    ("hypothesis shorter than the orders of the reference", ["abc"], [["abcdefgh"]]),
    ("reference shorter than the orders of the hypothesis", ["abcdefgh"], [["abc"]]),
    ("repeated characters are clipped", ["aaaaaaaa"], [["aaa b aaa"]]),
    ("best reference by score, not by length", ["the cat sat"], [["the cat sat on the mat by the door"], ["the dog ran"], ["cat sat"]]),
    ("best reference depends on beta", ["one two three four"], [["one two"], ["one two three four five six seven eight"]]),
    ("control characters and separators", ["a\x1cb\x1fc\x00d\u180ee"], [["a b c\x00d\u180ee"]]),
]
PIECES = ["a", "b", "ab", "\u00e4", ".", "!", "(", ")", "\"", "-", " ", " ", "\u00a0", "\u3000", "\n", "\u20ac", "\U0001f600", "\u0301", "'", "1"]


def described(metric, score):
    return {"score": score.score, "format": score.format(), "signature": str(metric.get_signature())}


def both(hypotheses, streams, word_order, beta):
    metric = CHRF(word_order=word_order, beta=beta)
    return [described(metric, metric.corpus_score(hypotheses, streams)), metric.sentence_score(hypotheses[0], [s[0] for s in streams]).score]


def random_corpora(corpora=60):
    stream, scores = Stream(SEED + 3), []
    for _ in range(corpora):
        segments, references = 1 + stream.below(4), 1 + stream.below(3)
        texts = [[random_text(stream, PIECES, 24, "") for _ in range(segments)] for _ in range(1 + references)]
        scores.append([CHRF(word_order=w, beta=b).corpus_score(texts[0], texts[1:]).score for w, b in OPTIONS])
    return scores


def main():
    assert sacrebleu.__version__ == "2.4.3", f"the goldens belong to sacreBLEU 2.4.3, this is {sacrebleu.__version__}"
    golden = {
        "options": OPTIONS,
        "of_bleu": [[both(h, r, w, b)[0]["score"] for w, b in OPTIONS] for _, h, r in CORPORA],
        "own": [{"name": name, "hypotheses": h, "references": r, "scores": [both(h, r, w, b) for w, b in OPTIONS]} for name, h, r in OWN],
        "random": {"seed": SEED + 3, "longest": 24, "pieces": PIECES, "scores": random_corpora()},
    }
    GOLDEN.write_text(json.dumps(golden, indent=None, separators=(",", ":"), ensure_ascii=True).replace('},{"name"', '},\n{"name"') + "\n")


if __name__ == "__main__":
    main()
