"""Token ids and decoded texts of this library against Hugging Face's MarianTokenizer, line by line.

    python tokenizer_parity.py --program build/parity/bin/tokenize_lines [--data DIR] [--seed N]

A SentencePiece model is trained by this library, on Multi30k where --data (default: NEURAL_ATTENTION_DATA_DIR) has it
and on generated sentences where not, in the layout that Hugging Face reads. Both encode every line as a source and as a
target and decode the ids of both, with and without English clean-up:
  - all lines of Multi30k (train, valid, tests) and of Tatoeba's valid set, German and English;
  - hard lines: a fixed list and random mixtures of hard pieces (the seed is printed), also with the committed golden
    tokenizer, whose two models differ and whose vocabulary has language codes;
  - one line of a million characters.
Ends with status 1 where anything differs, with 77 where everything agrees but --data is missing.
"""

import argparse
import gzip
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from transformers import MarianTokenizer
from transformers.utils import logging

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "marian_tokenizer"
SKIPPED = 77

# Pieces that hard lines are mixed from. Lone surrogates are left out: they have no UTF-8.
PIECES = [
    "Ein Hund läuft", "A dog runs", "don't", "isn 't", "it 's", "we 've", " ' ", "!", " .", " ,", "?", "...", "-", "„so“",
    " ", "  ", "   ", "\t", "\n", "\r", "\r\n", "\v", "\f", "\u0085", "\u00a0", "\u1680", "\u2003", "\u2028", "\u2029",
    "\u202f", "\u3000", "\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u180e",
    "\0", "\x01", "\x08", "\x1b", "\x1f", "\x7f", "\x80", "\x9f",
    ">>de<<", ">>xx<<", ">><<", ">>a b<<", ">>", "<<", ">>>>x<<<<", ">>\u00e4<<", ">> <<", ">>de<<Hund", ">>\n<<",
    "</s>", "<unk>", "<pad>", "<s>", "</s", "< /s>", "<</s>>", "<pad", "<PAD>", "\uff1c/s\uff1e", "<0x41>", "<2de>",
    "\u2581", "\u2581Ein", "_", "ﬁ", "½", "①", "Ⅷ", "㎞", "ﷺ", "ǆ", "K", "ſ", "ẞ", "İ",
    "a\u0308", "A\u030a", "e\u0301\u0323", "\u0301", "\u1112\u1161\u11ab", "한국어", "が", "か\u3099", "ﾊﾟ",
    "日本語", "中文句子。", "ไทย", "العربية", "עברית", "हिन्दी", "Ελληνικά", "Русский", "ქართული", "\U00020000", "𝔘𝔫𝔦",
    "\U0001F600", "\U0001F468\u200d\U0001F469\u200d\U0001F467", "\U0001F1E9\U0001F1EA", "\u2764\ufe0f", "1\ufe0f\u20e3",
    "\U0001F44D\U0001F3FD", "\ue000", "\U0010FFFF", "\ufffd", "\ufffe", "\ufdd0", "x" * 300, "ä" * 150, "7" * 50, "\\", '"',
    "&amp;", "http://a.b/c?d=e&f", "a@b.c", "3,14", "1.000.000", "A", "z",
]
FIXED = ["", " ", "\t", "\n", "  \u3000 ", *PIECES, *[f" {piece} " for piece in PIECES],
         *[f"Ein {piece} Hund" for piece in PIECES], *[f"{piece}{piece}" for piece in PIECES]]


def read(path: Path) -> list:
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
        return file.read().split("\n")[:-1]


def mixtures(count: int, generator: random.Random) -> list:
    def line():
        pieces = generator.choices(PIECES, k=generator.randint(1, 12))
        return "".join(piece + generator.choice(("", "", " ")) for piece in pieces)

    return [line() for _ in range(count)]


class Comparison:
    def __init__(self, program: Path, folder: Path):
        self.program, self.folder = program, folder
        self.tokenizer = MarianTokenizer.from_pretrained(str(folder), model_max_length=10**9)
        self.lines = self.tokens = self.unknown = self.wrong = 0

    def hugging_face(self, text: str) -> dict:
        source = self.tokenizer(text).input_ids
        target = self.tokenizer(text_target=text).input_ids

        def decode(clean: bool) -> list:
            return [
                self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=clean)
                for ids in (source, target)
            ]

        return {"source": source, "target": target, "exact": decode(False), "clean": decode(True)}

    def check(self, what: str, texts: list) -> None:
        begin = time.monotonic()
        given = "".join(json.dumps(text) + "\n" for text in texts)
        done = subprocess.run([self.program, "encode", self.folder], input=given.encode(), capture_output=True)
        if done.returncode != 0:
            raise SystemExit(f"tokenize_lines failed: {done.stderr.decode(errors='replace')}")
        ours = done.stdout.decode().split("\n")[:-1]
        if len(ours) != len(texts) or not texts:
            raise SystemExit(f"{what}: {len(texts)} lines went in, {len(ours)} came out")
        wrong = 0
        for text, line in zip(texts, ours):
            expected, found = self.hugging_face(text), json.loads(line)
            self.tokens += len(expected["source"]) + len(expected["target"])
            self.unknown += expected["source"].count(self.tokenizer.unk_token_id)
            if found != expected:
                wrong += 1
                if self.wrong + wrong <= 20:
                    key = next(key for key in expected if found[key] != expected[key])
                    print(f"  {json.dumps(text)[:200]}: {key} is {str(found[key])[:300]}, "
                          f"Hugging Face has {str(expected[key])[:300]}")
        self.lines += len(texts)
        self.wrong += wrong
        print(f"{what}: {len(texts)} lines, {wrong} differ, {time.monotonic() - begin:.1f} s", flush=True)


def generated_corpus(generator: random.Random) -> tuple:
    syllables = ["ba", "de", "gi", "lo", "mu", "na", "pe", "ri", "so", "tu", "wä", "zö", "ßü", "Ka", "The", "Ein"]
    words = ["".join(generator.choices(syllables, k=generator.randint(1, 3))) for _ in range(400)]
    sides = [[" ".join(generator.choices(words, k=8)) + "." for _ in range(2000)] for _ in range(2)]
    return tuple(sides)


def train(program: Path, folder: Path, data, generator: random.Random) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        if data is not None:
            files, size = [data / "multi30k" / f"train.{language}.gz" for language in ("de", "en")], 8000
        else:
            files, size = [Path(scratch) / side for side in ("source", "target")], 400
            for path, lines in zip(files, generated_corpus(generator)):
                path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        subprocess.run([program, "train", folder, str(size), *files], check=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=os.environ.get("NEURAL_ATTENTION_DATA_DIR"))
    parser.add_argument("--seed", type=int, default=os.environ.get("NEURAL_ATTENTION_PARITY_SEED") or None)
    parser.add_argument("--mixtures", type=int, default=5000)
    arguments = parser.parse_args()
    logging.set_verbosity_error()
    seed = random.randrange(2**31) if arguments.seed is None else arguments.seed
    print(f"seed {seed}")
    generator = random.Random(seed)
    data = arguments.data
    if data is not None and not (data / "multi30k").is_dir():
        raise SystemExit(f"there is no Multi30k in {data}")

    hard = mixtures(arguments.mixtures, generator)
    with tempfile.TemporaryDirectory() as folder:
        train(arguments.program, Path(folder), data, generator)
        comparison = Comparison(arguments.program, Path(folder))
        comparison.check("fixed hard lines", FIXED)
        comparison.check("mixtures", hard)
        plain, long = ["Ein Hund läuft. ", "Zwölf Boxkämpfer jagen Viktor ", "\U0001F600 ", "x"], ""
        while len(long) < 1_000_000:
            long += generator.choice(plain)
        comparison.check("a line of a million characters", [long])
        if data is not None:
            for path in sorted((data / "multi30k").glob("*.gz")) + sorted((data / "tatoeba").glob("valid.*.gz")):
                comparison.check(f"{path.parent.name}/{path.name}", read(path))
    golden = Comparison(arguments.program, GOLDEN)
    golden.check("fixed hard lines, golden tokenizer", FIXED)
    golden.check("mixtures, golden tokenizer", hard)

    both = (comparison, golden)
    wrong = sum(one.wrong for one in both)
    print(f"{sum(one.lines for one in both)} lines, {sum(one.tokens for one in both)} tokens, of which "
          f"{sum(one.unknown for one in both)} unknown among the sources; {wrong} lines differ")
    if wrong:
        return 1
    if data is None:
        print("SKIPPED: real text, because NEURAL_ATTENTION_DATA_DIR is not set")
        return SKIPPED
    return 0


if __name__ == "__main__":
    sys.exit(main())
