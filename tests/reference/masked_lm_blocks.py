"""Makes tests/golden/masked_lm: text cut into the sequences of a masked language model, as transformers' run_mlm does.

    python masked_lm_blocks.py [--output DIR] [--data DIR]

RobertaTokenizerFast with the vocabulary of tests/golden/byte_bpe wraps lines in <s> and </s>; the script run_mlm is no
part of the package, so joining and cutting are written anew here, with its defaults: a thousand lines at a time.
  blocks.json     lines and, for each way to cut them, repeated, the ids of all sequences or their number and a hash; and
                  which tokens of some blocks are special (special_tokens_mask: <s> and </s> around lines)
  wikitext2.json  blocks of WikiText-2's valid.txt.gz under 16,000 pieces learned from train.txt.gz; only with --data
                  (default: NEURAL_ATTENTION_DATA_DIR), else it is the committed file
"""

import argparse
import json
import os
import tempfile
from itertools import chain
from pathlib import Path

from byte_bpe_goldens import FOLDER as BYTE_BPE
from byte_bpe_goldens import hash_of, lines_of, save, train
from transformers import RobertaTokenizerFast

FOLDER = Path(__file__).resolve().parents[1] / "golden" / "masked_lm"
NOT_TEXT = ["", " ", "\t \u3000", "\x1c", "\u200b", "<mask>", "a <unk> b <mask>", " </s>", "\U0001F41D", "灯台は海", "a"]


KEYS = "input_ids", "special_tokens_mask"  # what the data collator gets: it masks where the second is 0


def joined(tokenizer, lines: list, size: int, chunk: int = 1000) -> tuple:
    blocks = [], []
    for begin in range(0, len(lines), chunk):
        encoded = tokenizer(lines[begin:begin + chunk], return_special_tokens_mask=True)
        for result, key in zip(blocks, KEYS):
            values = list(chain(*encoded[key]))
            result += [values[at:at + size] for at in range(0, len(values) // size * size, size)]
    return blocks


def line_by_line(tokenizer, lines: list, size: int) -> tuple:
    lines = [line for line in lines if line and not line.isspace()]
    encoded = tokenizer(lines, truncation=True, max_length=size, return_special_tokens_mask=True)
    return tuple(encoded[key] for key in KEYS)


def summary(blocks: list) -> dict:
    return {"count": len(blocks), "hash": hash_of(chain(*([len(block), *block] for block in blocks)))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=FOLDER)
    parser.add_argument("--data", type=Path, default=os.environ.get("NEURAL_ATTENTION_DATA_DIR") or None)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)

    def fast(folder: Path):
        return RobertaTokenizerFast.from_pretrained(folder, model_max_length=10**9)  # tokenizer.json

    tokenizer = fast(BYTE_BPE)
    text = (BYTE_BPE / "text.txt").read_text(encoding="utf-8").split("\n")
    lines = [line for i, words in enumerate(text) for line in (words, *NOT_TEXT[i % 11:i % 11 + (i % 3 == 0)])]
    cases = []
    for way, repeat, size, chunk in ((joined, 1, 32, 1000), (joined, 1, 5, 7), (joined, 1, 64, 1), (joined, 41, 512, 1000),
                                     (joined, 3, 16, 76), (line_by_line, 1, 12, 1000), (line_by_line, 1, 512, 1000)):
        blocks, special = (joined(tokenizer, lines * repeat, size, chunk) if way is joined
                           else line_by_line(tokenizer, lines * repeat, size))
        case = {"line_by_line": way is line_by_line, "repeat": repeat, "block_size": size, "chunk_lines": chunk,
                **summary(blocks)}
        if size in (12, 32):
            case["blocks"] = blocks
            case["special"] = special
        cases.append(case)
    (arguments.output / "blocks.json").write_text(
        '{"lines": ' + json.dumps(lines) + ',\n"cases": [\n'
        + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "]}\n")

    if arguments.data is None:
        if arguments.output != FOLDER:
            (arguments.output / "wikitext2.json").write_bytes((FOLDER / "wikitext2.json").read_bytes())
        return
    with tempfile.TemporaryDirectory() as scratch:
        save(train(lines_of(arguments.data / "wikitext-2" / "train.txt.gz"), 16000), Path(scratch))
        tokenizer = fast(Path(scratch))
    lines = lines_of(arguments.data / "wikitext-2" / "valid.txt.gz")
    (arguments.output / "wikitext2.json").write_text(json.dumps({
        "joined_128": summary(joined(tokenizer, lines, 128)[0]), "joined_512": summary(joined(tokenizer, lines, 512)[0]),
        "line_by_line_128": summary(line_by_line(tokenizer, lines, 128)[0])}, indent=2) + "\n")


if __name__ == "__main__":
    main()
