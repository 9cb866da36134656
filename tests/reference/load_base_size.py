"""Measures how we load a model of opus-mt's size that Hugging Face wrote, and when the first translation shows.

    python load_base_size.py --resave build/parity/bin/resave_model [--translation build/release/bin/translation]

Random weights in float32, vocabulary 58101. Loading from the page cache must take less than a second and need at most
1.1 times the file's size in anonymous memory. The first line of `translation translate` must show within a second of
its start. Random weights do not end sentences, so translations have a fixed length here, that of a short sentence.
Times hold for a machine that does nothing else: the best of several runs counts.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from transformers import MarianConfig, MarianMTModel

from interchange import BASE_SIZE, FAMILY
from model_directories import Resave, require


def write_model(directory: Path) -> int:
    torch.manual_seed(1)
    model = MarianMTModel(MarianConfig(**BASE_SIZE))
    model.generation_config.bad_words_ids = [[BASE_SIZE["pad_token_id"]]]
    model.generation_config.renormalize_logits = True
    model.save_pretrained(directory)
    return (directory / "model.safetensors").stat().st_size


def write_tokenizer(directory: Path, source: Path, vocabulary: int = BASE_SIZE["vocab_size"]) -> None:
    """A small tokenizer's files; its vocabulary is filled up with pieces that no text has, <pad> last."""
    for name in FAMILY.tokenizer_files:
        shutil.copy(source / name, directory)
    ids = json.loads((source / "vocab.json").read_text(encoding="utf-8"))
    pieces = [piece for piece in sorted(ids, key=ids.get) if piece != "<pad>"]
    pieces += [f"<unused{i}>" for i in range(vocabulary - 1 - len(pieces))] + ["<pad>"]
    (directory / "vocab.json").write_text(json.dumps({piece: i for i, piece in enumerate(pieces)}), encoding="utf-8")


def seconds_to_first_line(program: Path, directory: Path, length: int, beams: int, text: str) -> float:
    """The text's end is not sent: an answer must not wait for it."""
    command = [str(program), "translate", "--model", str(directory), "--num_beams", str(beams), "--max_length",
               str(length)]
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdin.write(text.encode())
    process.stdin.flush()
    first = process.stdout.readline()
    taken = time.perf_counter() - begin
    _, errors = process.communicate()
    require(process.returncode == 0 and first.endswith(b"\n"), f"{command} failed: {errors.decode()}")
    return taken


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resave", type=Path, required=True, help="the program resave_model")
    parser.add_argument("--translation", type=Path, help="the program translation")
    parser.add_argument("--tokenizer", type=Path, default=FAMILY.tokenizer_folder,
                        help="a folder with a small tokenizer")
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    fine = True
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        size = write_model(directory)
        write_tokenizer(directory, arguments.tokenizer)
        reports = [Resave(arguments.resave)(directory) for _ in range(arguments.runs)]
        seconds = min(report["seconds"] for report in reports)
        memory = max(report["anonymous_bytes"] for report in reports) / size
        fine = seconds < 1.0 and memory <= 1.1
        print(f"loading {size:,} bytes: {seconds:.3f} s, anonymous memory {memory:.3f} times the file "
              f"({'fine' if fine else 'WRONG'})")
        if arguments.translation:
            text = "Ein Hund schläft auf dem Sofa.\n"
            for length, beams in ((12, 1), (12, 4), (24, 1), (24, 4)):
                taken = min(seconds_to_first_line(arguments.translation, directory, length, beams, text)
                            for _ in range(arguments.runs))
                judged = (length, beams) == (12, 4)
                fine = fine and (taken < 1.0 or not judged)
                print(f"first line, {length - 2} tokens, beam {beams}: {taken:.3f} s after the start"
                      + (f" ({'fine' if taken < 1.0 else 'WRONG'})" if judged else ""))
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
