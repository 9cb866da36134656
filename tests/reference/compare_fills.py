"""Fills <mask> with our program and with Hugging Face's pipeline fill-mask: the same tokens, probabilities and texts.

    python compare_fills.py --program BIN/masked_lm [--random N] [--seed N]
    python compare_fills.py --program BIN/masked_lm --model DIR --text valid.txt.gz [--lines N]

Models of random sizes and projections with the vocabulary of tests/golden/byte_bpe, which are decided enough for
probabilities to tell something; or a model directory of ours. Words of the text give way to <mask>. The five best tokens
must be Hugging Face's in its order, their probabilities what is printed to four digits.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from transformers import RobertaForMaskedLM, RobertaTokenizerFast, pipeline
from transformers.convert_slow_tokenizer import bytes_to_unicode
from transformers.utils import logging

from byte_bpe_goldens import lines_of
from interchange_roberta import FAMILY
from model_directories import fill, require
from model_variants import KINDS, ROLES, all_linear
from neural_projections import NeuralRobertaForMaskedLM

BEST = 5
DIGITS = 0.5e-4 + 1e-6  # what rounding to four of them may hide, and what float32 does
BYTES = {character: byte for byte, character in bytes_to_unicode().items()}
HARD = ["<mask>", "<mask><mask>", " \u3000<mask> ", "a <mask>\t<mask>b", "<s> <mask> </s><unk>", "\U0001F41D<mask>ßü",
        "1<mask>'s\u00a0<mask>", "灯台<mask>海"]


def random_directory(draw: random.Random, directory: Path) -> None:
    projectors = {role: {"type": draw.choice(KINDS), "expansion": draw.randint(1, 3)} for role in ROLES}
    config = FAMILY.random_config(draw, FAMILY.vocabulary(), max_position_embeddings=150, bos_token_id=0, pad_token_id=1,
                                  eos_token_id=2, neural_attention={"projectors": projectors})  # ids of the tokenizer
    model = NeuralRobertaForMaskedLM(config)
    fill(model, draw.randrange(1000))
    with torch.no_grad():
        model.roberta.embeddings.word_embeddings.weight.mul_(6)
    model.save_pretrained(directory)
    FAMILY.write_tokenizer(directory)
    print(f"{config.num_hidden_layers} layers, width {config.hidden_size}, {[one['type'] for one in projectors.values()]}")


def masked(draw: random.Random, line: str) -> str:
    words = line.split(" ")
    for place in draw.sample(range(len(words)), min(len(words), draw.choice([1, 1, 1, 2, 3]))):
        words[place] = "<mask>"
    return " ".join(words)


def printable(text: bytes) -> str:
    """As the program prints any bytes: what is no character of UTF-8, or a control character, is \\xHH."""
    return "".join(f"\\x{ord(c) & 0xFF:02X}" if ord(c) < 0x20 or c == "\x7f" or 0xDC80 <= ord(c) <= 0xDCFF else c
                   for c in text.decode(errors="surrogateescape"))


def spelled(tokenizer, ids: list) -> bytes:
    return b"".join(piece.encode() if piece in tokenizer.all_special_tokens else bytes(BYTES[c] for c in piece)
                    for piece in tokenizer.convert_ids_to_tokens(ids))


class HuggingFace:
    def __init__(self, directory: Path):
        config = json.loads((directory / "config.json").read_text())
        projectors = config.get("neural_attention", {}).get("projectors", {})
        kind = RobertaForMaskedLM if all_linear(projectors) else NeuralRobertaForMaskedLM
        self.tokenizer = RobertaTokenizerFast.from_pretrained(directory)
        self.fill = pipeline("fill-mask", model=kind.from_pretrained(directory).eval(), tokenizer=self.tokenizer,
                             top_k=BEST)
        self.longest = config["max_position_embeddings"] - config["pad_token_id"] - 1

    def reads(self, text: str) -> bool:
        return len(self.tokenizer(text).input_ids) <= self.longest

    def expected(self, text: str) -> list:
        """For each mask its (probability, what follows it in the program's line)."""
        ids = self.tokenizer(text).input_ids
        places = [place for place, id in enumerate(ids) if id == self.tokenizer.mask_token_id]
        answers = self.fill(text) if len(places) > 1 else [self.fill(text)]
        require(len(answers) == len(places) > 0, f"{len(answers)} answers to {text}")
        return [[(one["score"], f"'{printable(spelled(self.tokenizer, [one['token']]))}'  " + printable(
                     spelled(self.tokenizer, [*ids[1:place], one["token"], *ids[place + 1:-1]]))) for one in answer]
                for place, answer in zip(places, answers)]


def compare(program: Path, directory: Path, texts: list) -> bool:
    reference = HuggingFace(directory)
    texts = [text for text in texts if reference.reads(text)]
    command = [str(program), "fill", "--model", str(directory), "--top_k", str(BEST)]
    done = subprocess.run(command, input="".join(text + "\n" for text in texts).encode(), capture_output=True)
    require(done.returncode == 0, f"{' '.join(command)}: {done.stderr.decode()}")
    lines = done.stdout.decode().split("\n")[:-1]
    alone = subprocess.run([*command, texts[0]], capture_output=True, check=True).stdout.decode().split("\n")[:-1]
    require(alone and lines[:len(alone)] == alone, "a text as an argument has another answer than as a line")
    wrong, masks, worst, largest = 0, 0, 0.0, 0.0
    for text in texts:
        expected = reference.expected(text)
        for number, answer in enumerate(expected):
            if len(expected) > 1:
                require(lines.pop(0) == f"<mask> {number + 1}", f"{text}: the masks are not told apart")
            for probability, rest in answer:
                found, _, line = lines.pop(0).partition("  ")
                off = abs(float(found) - probability)
                worst, largest = max(worst, off), max(largest, probability)
                if line != rest or not off <= DIGITS:
                    wrong += 1
                    print(f"  {text!r}: {found}  {line}, not {probability:.6f}  {rest}")
            masks += 1
    require(not lines, f"more lines than expected: {lines[:3]}")
    print(f"{len(texts)} texts, {masks} masks, {wrong} differences; probabilities up to {largest:.4f} differ from the "
          f"printed ones by at most {worst:.2g}", flush=True)
    return wrong == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, required=True, help="the program masked_lm")
    parser.add_argument("--model", type=Path, help="a model directory")
    parser.add_argument("--text", type=Path, help="text for it; .gz is read too")
    parser.add_argument("--lines", type=int, default=100)
    parser.add_argument("--random", type=int, default=4, metavar="N", help="without --model: draw N models")
    parser.add_argument("--seed", type=int, default=1, help="of what is drawn")
    arguments = parser.parse_args()
    logging.set_verbosity_error()
    torch.set_num_threads(1)
    draw = random.Random(arguments.seed)
    source = arguments.text or FAMILY.tokenizer_folder / "text.txt"
    lines = [line for line in lines_of(source) if line and not line.isspace() and "<mask>" not in line]
    texts = [*(masked(draw, line) for line in lines[:arguments.lines]), *HARD]
    if arguments.model:
        return 0 if compare(arguments.program, arguments.model, texts) else 1
    fine = True
    for _ in range(arguments.random):
        with tempfile.TemporaryDirectory() as scratch:
            random_directory(draw, Path(scratch))
            fine = compare(arguments.program, Path(scratch), texts) and fine
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
