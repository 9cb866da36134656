"""Byte-level BPE of this library against Hugging Face's tokenizers, RobertaTokenizerFast and GPT2TokenizerFast, live.

    python byte_bpe_compare.py --program build/parity/bin/byte_bpe_lines [--data DIR] [--models DIR] [--seed N]

Both learn a vocabulary, of 16,000 pieces from WikiText-2's train.txt.gz where --data (default: NEURAL_ATTENTION_DATA_DIR)
has it, else of 1,000 from generated sentences; the merges must be the same. Then each encodes what the other wrote, in the
layouts tokenizer.json, vocab.json + merges.txt, and a folder of RobertaTokenizerFast:
  - every code point that Unicode assigns as Python knows it (3.11: Unicode 14, as PCRE2 10.42) beside a letter, a digit, a
    symbol and a space: words must be cut at the same places;
  - hard lines, a fixed list and random mixtures (the seed is printed), without and with a space in front, and lines of
    a million bytes: words, ids with and without special tokens, and decoded texts;
  - every line of WikiText-2 (train, valid), WikiText-103's valid set and the German side of Multi30k's;
  - with GPT-2's own vocabulary, of gpt2-tokenizer in --models (default: NEURAL_ATTENTION_MODELS_DIR): hard and long lines,
    and WikiText-2, line by line and as one text.
Ends with status 1 where anything differs, with 77 where everything agrees but --data or --models is missing.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import unicodedata
from pathlib import Path

from byte_bpe_cases import FIXED, LONG, long_line, mixtures
from byte_bpe_goldens import encode, gpt2_tokenizer, lines_of, save, text_of, train, with_space, words
from tokenizers import Tokenizer
from transformers import RobertaTokenizerFast
from transformers.utils import logging

SKIPPED = 77


class Comparison:
    def __init__(self, program: Path):
        self.program, self.wrong, self.lines, self.tokens = program, 0, 0, 0

    def ours(self, action: list, texts: list) -> list:
        given = "".join(json.dumps(text) + "\n" for text in texts)
        done = subprocess.run([self.program, *action], input=given.encode(), capture_output=True)
        if done.returncode != 0:
            raise SystemExit(f"{self.program} failed: {done.stderr.decode(errors='replace')}")
        lines = done.stdout.decode().split("\n")[:-1]
        if len(lines) != len(texts) or not texts:
            raise SystemExit(f"{len(texts)} texts went in, {len(lines)} came out")
        return [json.loads(line) for line in lines]

    def differ(self, what: str, text: str, found, expected) -> None:
        self.wrong += 1
        if self.wrong <= 20:
            print(f"  {what}: {json.dumps(text)[:200]} gives {str(found)[:300]}, not {str(expected)[:300]}")

    def check(self, what: str, path: Path, tokenizer, texts: list) -> None:
        """`path`: what we load; `tokenizer`: the same in Hugging Face's, a Tokenizer or one of transformers."""
        begin, wrong = time.monotonic(), self.wrong
        if isinstance(tokenizer, Tokenizer):
            plain = Tokenizer.from_str(json.dumps({**json.loads(tokenizer.to_str()), "added_tokens": []}))
            expected = [{"ids": encode(tokenizer, text), "ordinary": encode(plain, text)} for text in texts]
        else:
            expected = [{"ids": tokenizer(text, add_special_tokens=False).input_ids} for text in texts]
        for text, found, row in zip(texts, self.ours(["encode", path], texts), expected):
            row["text"] = tokenizer.decode(row["ids"], skip_special_tokens=False,
                                           **({} if isinstance(tokenizer, Tokenizer)
                                              else {"clean_up_tokenization_spaces": False}))
            self.tokens += len(row["ids"])
            for key, value in row.items():
                if found[key] != value:
                    self.differ(f"{what}, {key}", text, found[key], value)
        self.lines += len(texts)
        print(f"{what}: {len(texts)} lines, {self.wrong - wrong} differences, {time.monotonic() - begin:.1f} s", flush=True)

    def check_words(self, what: str, texts: list) -> None:
        begin, wrong = time.monotonic(), self.wrong
        for text, found in zip(texts, self.ours(["split"], texts)):
            if found != words(text):
                self.differ(f"{what}, words", text, found, words(text))
        print(f"{what}: the words of {len(texts)} lines, {self.wrong - wrong} differences, "
              f"{time.monotonic() - begin:.1f} s", flush=True)


def code_points() -> list:
    """Lines that hold every code point in each neighbourhood, but for surrogates, which have no UTF-8, and those that
    are not assigned: newer versions of Unicode, which tokenizers may know before PCRE2 does, make letters of some."""
    lines = []
    for start in range(0, 0x110000, 64):
        block = [chr(code) for code in range(start, start + 64) if unicodedata.category(chr(code)) not in ("Cs", "Cn")]
        if block:
            lines.append("".join(f"a{c}a 1{c}1 !{c}! {c}{c} \t{c}\t {c}" for c in block))
    return lines


def generated_corpus(generator: random.Random) -> list:
    syllables = ["ba", "de", "gi", "lo", "mu", "na", "pe", "ri", "so", "tu", "wä", "zö", "ßü", "Ka", "The", "12", "'s", "🐝"]
    found = ["".join(generator.choices(syllables, k=generator.randint(1, 4))) for _ in range(600)]
    return [" ".join(generator.choices(found, k=8)) + "." for _ in range(4000)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=os.environ.get("NEURAL_ATTENTION_DATA_DIR") or None)
    parser.add_argument("--models", type=Path, default=os.environ.get("NEURAL_ATTENTION_MODELS_DIR") or None)
    parser.add_argument("--seed", type=int, default=os.environ.get("NEURAL_ATTENTION_PARITY_SEED") or None)
    parser.add_argument("--mixtures", type=int, default=5000)
    arguments = parser.parse_args()
    logging.set_verbosity_error()
    seed = random.randrange(2**31) if arguments.seed is None else arguments.seed
    print(f"seed {seed}")
    generator = random.Random(seed)
    comparison = Comparison(arguments.program)
    hard = [*FIXED, *mixtures(arguments.mixtures, generator)]
    long = [long_line(**form) for form in LONG]

    with tempfile.TemporaryDirectory() as scratch:
        ours, theirs, text = Path(scratch) / "ours", Path(scratch) / "theirs", Path(scratch) / "train.txt"
        theirs.mkdir()
        if arguments.data is not None:
            lines, size = lines_of(arguments.data / "wikitext-2" / "train.txt.gz"), 16000
        else:
            lines, size = generated_corpus(generator), 1000
        text.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        begin = time.monotonic()
        subprocess.run([arguments.program, "train", ours, str(size), text], check=True)
        between = time.monotonic()
        tokenizer = train(lines, size)
        print(f"{size} pieces learned from {len(lines)} lines: {between - begin:.1f} s here, "
              f"{time.monotonic() - between:.1f} s in tokenizers", flush=True)
        save(tokenizer, theirs)
        written = Tokenizer.from_file(str(ours / "tokenizer.json"))
        for what, mine, other in (
            ("pieces", written.get_vocab(), tokenizer.get_vocab()),
            ("merges", (ours / "merges.txt").read_text(), (theirs / "merges.txt").read_text()),
        ):
            if mine != other:
                comparison.differ(what, "the vocabulary", mine, other)

        comparison.check_words("every code point", code_points())
        comparison.check_words("hard lines", hard)
        comparison.check_words("long lines", long)
        comparison.check("hard lines, our tokenizer.json", ours / "tokenizer.json", written, hard)
        comparison.check("hard lines, their tokenizer.json", theirs / "tokenizer.json", tokenizer, hard)
        prefixing = with_space(tokenizer)
        prefixing.save(str(theirs / "prefixing.json"))
        comparison.check("hard lines, a space in front", theirs / "prefixing.json", prefixing, hard)
        comparison.check("long lines", theirs / "tokenizer.json", tokenizer, long)

        # RobertaTokenizerFast reads our folder; we read the ones that it writes, and vocab.json with merges.txt alone.
        fast = RobertaTokenizerFast.from_pretrained(str(ours), model_max_length=10**9)
        comparison.check("hard lines, our folder", ours, fast, hard)
        for add_prefix_space in (False, True):
            two_files = RobertaTokenizerFast(str(ours / "vocab.json"), str(ours / "merges.txt"),
                                             add_prefix_space=add_prefix_space, model_max_length=10**9)
            folder = Path(scratch) / f"fast-{add_prefix_space}"
            two_files.save_pretrained(str(folder))  # tokenizer.json and tokenizer_config.json
            name = f"RobertaTokenizerFast's folder, {'a' if add_prefix_space else 'no'} space in front"
            comparison.check(f"hard lines, {name}", folder, two_files, hard)
            (folder / "tokenizer.json").unlink()
            for file in ("vocab.json", "merges.txt"):
                shutil.copy(ours / file, folder)
            comparison.check(f"hard lines, {name}, without tokenizer.json", folder, two_files, hard)

        if arguments.data is not None:
            for name in ("wikitext-2/valid.txt.gz", "wikitext-2/train.txt.gz", "wikitext-103/valid.txt.gz",
                         "multi30k/valid.de.gz"):
                comparison.check(name, ours, written, lines_of(arguments.data / name))

    if arguments.models is not None:
        folder, gpt2 = arguments.models / "gpt2-tokenizer", gpt2_tokenizer(arguments.models)
        comparison.check("hard lines, GPT-2's vocabulary", folder, gpt2, hard)
        comparison.check("long lines, GPT-2's vocabulary", folder, gpt2, long)
        for name in ("train", "valid") if arguments.data is not None else ():
            path = arguments.data / "wikitext-2" / f"{name}.txt.gz"
            comparison.check(f"WikiText-2, {name}, GPT-2's vocabulary", folder, gpt2, lines_of(path))
            comparison.check(f"WikiText-2, {name} as one text, GPT-2's vocabulary", folder, gpt2, [text_of(path)])

    print(f"{comparison.lines} lines, {comparison.tokens} tokens, {comparison.wrong} differences")
    if comparison.wrong:
        return 1
    missing = {"real text, because NEURAL_ATTENTION_DATA_DIR": arguments.data,
               "GPT-2's vocabulary, because NEURAL_ATTENTION_MODELS_DIR": arguments.models}
    for what, folder in missing.items():
        if folder is None:
            print(f"SKIPPED: {what} is not set")
    return SKIPPED if None in missing.values() else 0


if __name__ == "__main__":
    sys.exit(main())
