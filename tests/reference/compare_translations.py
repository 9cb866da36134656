"""Translates the same sentences with our decoder and with Hugging Face's generate, and compares token ids and scores.

    python compare_translations.py --program BIN/translate_ids --model DIR --source valid.de.gz
    python compare_translations.py --program BIN/translate_ids --random 5 --resave BIN/resave_model

A model directory of ours and the first N lines of a text, or models and settings drawn at random in float64: both sides
read the directory, tokenize, search and return their n-best lists. A list may differ from Hugging Face's only where
Hugging Face itself gives both candidates of a rank the same score to 1e-5; anything else is an error, and so are other
source ids. Exit code 0 means that all is well.
"""

import argparse
import contextlib
import gzip
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from transformers import GenerationConfig, MarianMTModel, MarianTokenizer
from transformers.utils import logging

import marian_variants as variants
from double_precision import double_generation
from interchange import FAMILY
from marian_tokenizer_goldens import corpus
from model_directories import Resave
from model_variants import KINDS, ROLES
from neural_projections import NeuralMarianMTModel

TIE = 1e-5
# How far our scores may be from Hugging Face's for the same tokens.
SCORE_TOLERANCE = {"float32": 1e-5, "float64": 1e-9}


def read_lines(path: Path, count: int) -> list:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="\n") as file:
        lines = [line.rstrip("\r\n") for line, _ in zip(file, range(count))]
    if not lines or not all(line.strip() for line in lines):
        raise SystemExit(f"{path}: should have lines of text only")
    return lines


def settings(directory: Path, changes: dict) -> dict:
    """What the directory says about generation, with what opus-mt says where it says nothing, and the changes."""
    config = json.loads((directory / "config.json").read_text())
    stated = {
        "decoder_start_token_id": config["pad_token_id"],
        "pad_token_id": config["pad_token_id"],
        "bos_token_id": config["eos_token_id"],
        "eos_token_id": config["eos_token_id"],
        "forced_eos_token_id": config["eos_token_id"],
        "bad_words_ids": [[config["pad_token_id"]]],
        "renormalize_logits": True,
        "max_length": min(128, config["max_position_embeddings"]),
    }
    file = directory / "generation_config.json"
    if file.is_file():
        stated.update(json.loads(file.read_text()))
    stated.pop("_from_model_config", None)
    stated.update(changes)
    stated.setdefault("num_return_sequences", stated.get("num_beams", 1))
    return stated


@contextlib.contextmanager
def default_dtype(dtype):
    """Hugging Face builds masks in the default type."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def load(directory: Path, dtype) -> MarianMTModel:
    kinds = json.loads((directory / "config.json").read_text()).get("neural_attention", {}).get("projectors", {})
    stock = all(projector["type"] == "linear" for projector in kinds.values())
    model, report = (MarianMTModel if stock else NeuralMarianMTModel).from_pretrained(
        directory, dtype=torch.float32, output_loading_info=True)
    if any(report.values()):
        raise SystemExit(f"{directory}: Hugging Face finds fault with the file: {report}")
    model = model.to(dtype).eval()
    if dtype == torch.float64:
        variants.widen_position_tables(model)
    return model


class HuggingFace:
    """generate, and the score that it would give to any tokens."""

    def __init__(self, directory: Path, dtype_name: str, how):
        self.dtype = getattr(torch, dtype_name)
        with default_dtype(self.dtype):
            self.model = load(directory, self.dtype)
        if how is not None:  # given to generate, it would take from the model's what it leaves None
            self.model.generation_config = GenerationConfig(**how)
        self.how, _ = self.model._prepare_generation_config(None)
        self.model._prepare_special_tokens(self.how)
        self.tolerance = SCORE_TOLERANCE[dtype_name]

    def padded(self, sources: list):
        longest = max(map(len, sources))
        ids = [source + [self.how.pad_token_id] * (longest - len(source)) for source in sources]
        mask = [[1] * len(source) + [0] * (longest - len(source)) for source in sources]
        return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}

    def plain(self, sequence: list) -> list:
        """Without the start token, the end and what pads."""
        ids = sequence[1:]
        return ids[: ids.index(self.how.eos_token_id)] if self.how.eos_token_id in ids else ids

    @torch.no_grad()
    def n_best(self, sources: list) -> list:
        """For each source its (ids, score), the best first. The score is computed anew; it must be generate's."""
        with default_dtype(self.dtype), double_generation() if self.dtype == torch.float64 else contextlib.nullcontext():
            found = self.model.generate(**self.padded(sources), output_scores=True, return_dict_in_generate=True)
        count = self.how.num_return_sequences
        results = [[] for _ in sources]
        for i, sequence in enumerate(found.sequences):
            ids = self.plain(sequence.tolist())
            if self.how.num_beams == 1:  # greedy: there are no scores, here and there
                results[i // count].append((ids, 0.0))
                continue
            score = self.score(sources[i // count], ids)
            stated = float(found.sequences_scores[i])
            if abs(score - stated) > self.tolerance * max(1.0, abs(score)):
                raise AssertionError(f"generate's score of {ids} is {stated}, computed anew it is {score}")
            results[i // count].append((ids, score))
        return results

    @torch.no_grad()
    def score(self, source: list, ids: list) -> float:
        """Of tokens that generate may or may not have found, by its own processors of logits."""
        how = self.how
        sequence = [how.decoder_start_token_id] + ids
        if len(sequence) < how.max_length:
            sequence.append(how.eos_token_id)
        with default_dtype(self.dtype), double_generation() if self.dtype == torch.float64 else contextlib.nullcontext():
            inputs = self.padded([source])
            logits = self.model(**inputs, decoder_input_ids=torch.tensor([sequence[:-1]])).logits[0]
            processors = self.model._get_logits_processor(
                generation_config=how, input_ids_seq_length=1, encoder_input_ids=inputs["input_ids"],
                prefix_allowed_tokens_fn=None, logits_processor=[])
            total = 0.0
            for position, token in enumerate(sequence[1:]):
                scores = logits[position : position + 1].log_softmax(dim=-1)
                total += float(processors(torch.tensor([sequence[: position + 1]]), scores)[0, token])
        return total / (len(sequence) - 1) ** how.length_penalty


def ours(program: Path, directory: Path, dtype_name: str, how, lines: list) -> list:
    """One {"source": ids, "results": [{"ids", "score"}]} a line, from translate_ids."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(how, file)
        file.flush()
        stated = [] if how is None else [file.name]
        done = subprocess.run([str(program), str(directory), dtype_name, *stated], input="\n".join(lines) + "\n",
                              capture_output=True, text=True, encoding="utf-8")
    if done.returncode != 0:
        raise SystemExit(f"{program} ended with {done.returncode}: {done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def compare(reference: HuggingFace, expected: list, source: list, results: list, where: str, counts: dict) -> None:
    if len(results) != len(expected):
        raise AssertionError(f"{where}: {len(results)} results, expected {len(expected)}")
    for rank, (result, (ids, score)) in enumerate(zip(results, expected)):
        counts["results"] += 1
        if result["ids"] == ids:
            counts["equal"] += 1
            counts["best_equal"] += rank == 0
            counts["score"] = max(counts["score"], abs(result["score"] - score))
            continue
        other = reference.score(source, result["ids"])
        line = f"{where}, rank {rank + 1}: ours {result['ids']} {result['score']:.7f}, for Hugging Face {other:.7f}; " \
               f"theirs {ids} {score:.7f}"
        if abs(other - score) <= TIE:
            counts["ties"] += 1
            counts["best_ties"] += rank == 0
            print("tie: " + line)
        else:
            counts["differences"] += 1
            print("DIFFERENCE: " + line)


def run(arguments, directory: Path, dtype: str, lines: list, sources: list, how) -> bool:
    reference = HuggingFace(directory, dtype, how)
    translated = ours(arguments.program, directory, dtype, how, lines) if arguments.program else None
    counts = dict.fromkeys(("results", "equal", "best_equal", "ties", "best_ties", "differences"), 0) | {"score": 0.0}
    for begin in range(0, len(lines), arguments.batch_size):
        expected = reference.n_best(sources[begin : begin + arguments.batch_size])
        for i, best in enumerate(expected, begin):
            if translated is None:
                continue
            if translated[i]["source"] != sources[i]:
                raise AssertionError(f"line {i + 1}: source ids {translated[i]['source']}, expected {sources[i]}")
            compare(reference, best, sources[i], translated[i]["results"], f"line {i + 1}", counts)
    if translated is None:
        print(f"{directory.name}: {dtype}: {len(lines)} sentences translated by Hugging Face alone")
        return True
    fine = counts["differences"] == 0 and counts["score"] <= reference.tolerance
    print(f"{directory.name}: {dtype}: {len(lines)} sentences, beam {reference.how.num_beams}: best equal "
          f"{counts['best_equal']}, tied {counts['best_ties']}; all {counts['results']} results: equal "
          f"{counts['equal']}, tied {counts['ties']}, different {counts['differences']}; scores of equal ones differ "
          f"by at most {counts['score']:.1e} ({'fine' if fine else 'WRONG'})", flush=True)
    return fine


def setting(text: str):
    name, _, value = text.partition("=")
    return name, json.loads(value)


def compare_directory(arguments, directory: Path, lines: list, how, dtypes: list) -> bool:
    config = json.loads((directory / "config.json").read_text())
    tokenizer = MarianTokenizer.from_pretrained(directory)
    sources = [tokenizer(line, truncation=True, max_length=config["max_position_embeddings"]).input_ids
               for line in lines]
    return all([run(arguments, directory, dtype, lines, sources, how) for dtype in dtypes])


def compare_random(arguments, number: int) -> bool:
    """A model of random sizes and projections, searched with random settings."""
    draw = random.Random(1000 * arguments.seed + number)
    with tempfile.TemporaryDirectory() as scratch:
        start, directory = Path(scratch) / "start", Path(scratch) / f"random{number}"
        kinds = {role: {"type": draw.choice(KINDS), "expansion": draw.randint(1, 3)}
                 for role in ROLES}
        FAMILY.random_config(draw, FAMILY.vocabulary(), neural_attention={"projectors": kinds}).save_pretrained(start)
        Resave(arguments.resave)("--random", start / "config.json", directory)
        FAMILY.write_tokenizer(directory)
        how = settings(directory, {
            "num_beams": draw.randint(2, 6), "length_penalty": draw.choice([1.0, 0.3, 2.0, -0.5]),
            "early_stopping": draw.choice([False, True, "never"]), "max_length": draw.randint(5, 20),
            "min_length": draw.choice([0, 0, 4]), "no_repeat_ngram_size": draw.choice([0, 1, 2, 3]),
            "renormalize_logits": draw.choice([True, False]), "suppress_tokens": draw.choice([None, [6, 9]]),
            "begin_suppress_tokens": draw.choice([None, [5, 7]]), "forced_bos_token_id": draw.choice([None, None, 8])})
        how["num_return_sequences"] = how["num_beams"]
        print({name: how[name] for name in ("length_penalty", "early_stopping", "max_length", "min_length",
                                            "no_repeat_ngram_size", "renormalize_logits", "suppress_tokens",
                                            "begin_suppress_tokens", "forced_bos_token_id")})
        return compare_directory(arguments, directory, corpus()[0], how, ["float64"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, help="translate_ids; without it only Hugging Face's side is checked")
    parser.add_argument("--model", type=Path, help="a model directory")
    parser.add_argument("--source", type=Path, help="text for it, a sentence a line; .gz is read too")
    parser.add_argument("--lines", type=int, default=200)
    parser.add_argument("--random", type=int, default=0, metavar="N", help="draw N models and settings instead")
    parser.add_argument("--resave", type=Path, help="the program resave_model, which makes them")
    parser.add_argument("--seed", type=int, default=1, help="of what is drawn")
    parser.add_argument("--batch_size", type=int, default=10, help="of Hugging Face")
    parser.add_argument("--dtypes", nargs="+", default=["float32", "float64"], choices=sorted(SCORE_TOLERANCE))
    parser.add_argument("--num_beams", type=int, default=4)
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=JSON", type=setting,
                        help="further settings of generation_config.json, such as length_penalty=0.6")
    parser.add_argument("--as_stated", action="store_true",
                        help="decode as the directory says and nothing else: both sides read its files")
    arguments = parser.parse_args()
    if not (arguments.random and arguments.resave) and not (arguments.model and arguments.source):
        parser.error("give --model and --source, or --random and --resave")
    logging.set_verbosity_error()
    torch.set_num_threads(1)

    if arguments.random:
        return 0 if all([compare_random(arguments, number) for number in range(arguments.random)]) else 1
    how = None
    if not arguments.as_stated:
        how = settings(arguments.model, {"num_beams": arguments.num_beams} | dict(arguments.set))
    lines = read_lines(arguments.source, arguments.lines)
    return 0 if compare_directory(arguments, arguments.model, lines, how, arguments.dtypes) else 1


if __name__ == "__main__":
    sys.exit(main())
