"""Model directories both ways between this library and Hugging Face: no bit of a tensor changes, no setting is lost.

    python interchange.py --resave build/parity/bin/resave_model [--seed N] [--base_size]

from_hugging_face   models that save_pretrained wrote, of random odd sizes, in one file and in shards, float32, float16
                    and bfloat16, are loaded and saved by us; Hugging Face reads the result and computes the same logits
to_hugging_face     models of ours, one for each kind of projector and a mixed one, load strictly into the classes that
                    docs/interchange.md shows; what Hugging Face saves of them loads here again
aliases             further names of the tied matrix and the position tables are taken where they agree and refused
                    where they do not
"""

import argparse
import copy
import json
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import GenerationConfig, MarianConfig, MarianMTModel, MarianTokenizer
from transformers.utils import logging

import marian_variants as variants
from neural_projections import NeuralMarianMTModel

TOKENIZER = Path(__file__).resolve().parents[1] / "golden" / "marian_tokenizer"
TOKENIZER_FILES = ("source.spm", "target.spm", "vocab.json", "tokenizer_config.json")
ALIASES = ("lm_head.weight", "model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight")
# What differs by its nature: where the files lay, who wrote them, the number format (we save float32), our own key.
UNSTABLE = {"_name_or_path", "transformers_version", "torch_dtype", "neural_attention", "_from_model_config"}


def require(condition, text: str) -> None:
    if not condition:
        raise AssertionError(text)


class Resave:
    """The program resave_model."""

    def __init__(self, program: Path):
        self.program = program

    def run(self, *arguments):
        return subprocess.run([str(self.program), *map(str, arguments)], capture_output=True, text=True)

    def __call__(self, *arguments) -> dict:
        done = self.run(*arguments)
        require(done.returncode == 0, f"resave_model {' '.join(map(str, arguments))}: {done.stderr}")
        return json.loads(done.stdout) if done.stdout else {}

    def refused(self, *arguments, names) -> None:
        done = self.run(*arguments)
        require(done.returncode == 1, f"should be refused because of {names}, returned {done.returncode}")
        for name in names:
            require(name in done.stderr, f"'{name}' is not in the message: {done.stderr}")


def random_config(generator: random.Random, vocabulary: int, **more) -> MarianConfig:
    """Odd sizes, and settings that are not the default."""
    encoder_heads, decoder_heads = generator.choice([(1, 3), (3, 3), (3, 1), (2, 6), (6, 2)])
    return MarianConfig(**dict(
        vocab_size=vocabulary, decoder_vocab_size=vocabulary, d_model=6 * generator.randint(1, 6),
        encoder_layers=generator.randint(1, 3), decoder_layers=generator.randint(1, 3),
        encoder_attention_heads=encoder_heads, decoder_attention_heads=decoder_heads,
        encoder_ffn_dim=generator.randint(1, 50), decoder_ffn_dim=generator.randint(1, 50),
        max_position_embeddings=generator.randint(20, 70),
        activation_function=generator.choice(["swish", "relu", "gelu"]),
        scale_embedding=generator.choice([True, False]), dropout=generator.choice([0.0, 0.1, 0.25]),
        attention_dropout=generator.choice([0.0, 0.05]), activation_dropout=generator.choice([0.0, 0.05]),
        init_std=generator.choice([0.02, 0.013]), pad_token_id=vocabulary - 1, decoder_start_token_id=vocabulary - 1,
        bos_token_id=0, eos_token_id=0, forced_eos_token_id=0, num_beams=6, max_length=512,
        bad_words_ids=[[vocabulary - 1]],
    ) | more)


def random_generation(config: MarianConfig) -> GenerationConfig:
    return GenerationConfig(
        num_beams=5, max_length=19, min_length=3, length_penalty=0.7, no_repeat_ngram_size=4, renormalize_logits=True,
        early_stopping=True, bad_words_ids=[[config.pad_token_id], [3, 4]], pad_token_id=config.pad_token_id,
        bos_token_id=config.bos_token_id, eos_token_id=config.eos_token_id,
        forced_eos_token_id=config.forced_eos_token_id, decoder_start_token_id=config.decoder_start_token_id)


def random_model(config: MarianConfig, seed: int) -> MarianMTModel:
    model = MarianMTModel(config).eval()
    model.generation_config = random_generation(config)
    fill(model, seed)
    return model


@torch.no_grad()
def fill(model: MarianMTModel, seed: int) -> None:
    """Random numbers in every tensor that is saved: initial biases are all alike and would hide a mix-up."""
    generator = torch.Generator().manual_seed(seed)
    state = model.state_dict()
    for name in variants.saved_names(model):
        state[name].copy_(torch.randn(state[name].shape, generator=generator) * 0.3)


def write_tokenizer(directory: Path) -> None:
    for name in TOKENIZER_FILES:
        shutil.copy(TOKENIZER / name, directory)


def read_tensors(directory: Path) -> dict:
    """Of one file or of all shards."""
    tensors = {}
    for file in sorted(directory.glob("model*.safetensors")):
        tensors.update(load_file(file))
        with safe_open(file, "pt") as opened:
            require(opened.metadata() == {"format": "pt"}, f"{file} has no metadata that transformers accepts")
    require(tensors, f"{directory} has no tensors")
    return tensors


def bits(tensor: torch.Tensor) -> tuple:
    return tensor.dtype, tuple(tensor.shape), tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def require_equal_tensors(found: dict, expected: dict, where: str) -> None:
    require(found.keys() == expected.keys(), f"{where}: names {sorted(found.keys() ^ expected.keys())} on one side only")
    for name in expected:
        require(bits(found[name]) == bits(expected[name]), f"{where}: {name} differs")


def require_settings_kept(before: Path, after: Path) -> None:
    """What config.json and generation_config.json say, and what Hugging Face reads from them."""
    for file, kind in (("config.json", MarianConfig), ("generation_config.json", GenerationConfig)):
        old, new = (json.loads((folder / file).read_text()) for folder in (before, after))
        for key in old.keys() - UNSTABLE:
            require(key in new, f"{after / file}: lost the key '{key}'")
            require(new[key] == old[key], f"{after / file}: '{key}' is {new[key]}, was {old[key]}")
        old, new = (kind.from_pretrained(folder).to_dict() for folder in (before, after))
        for key in (old.keys() | new.keys()) - UNSTABLE:
            require(old.get(key) == new.get(key), f"{after / file}: Hugging Face reads {key} = {new.get(key)}, "
                                                  f"before it was {old.get(key)}")


def read_by_hugging_face(kind, directory: Path):
    model, report = kind.from_pretrained(directory, output_loading_info=True)
    require(not any(report.values()), f"{directory}: Hugging Face finds fault: {report}")
    return model.eval()


def require_equal_logits(a: MarianMTModel, b: MarianMTModel, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(1, a.config.vocab_size - 1, (3, 11), generator=generator)
    targets = torch.randint(1, a.config.vocab_size - 1, (3, 7), generator=generator)
    with torch.no_grad():
        logits = [model(input_ids=ids, decoder_input_ids=targets).logits for model in (a, b)]
    require(torch.equal(*logits) and logits[0].isfinite().all(), "other logits")


def require_strict_load(model: MarianMTModel, tensors: dict) -> None:
    """load_state_dict(strict=True): the file has all that the state has but the names that no file of HF's has."""
    own = model.state_dict()
    unsaved = own.keys() - set(variants.saved_names(model))
    require(unsaved.isdisjoint(tensors), "the file has names that Hugging Face does not save")
    tied = {name: tensors["model.shared.weight"] for name in unsaved.intersection(ALIASES)}
    tables = {name: own[name] for name in unsaved.difference(ALIASES)}
    copy.deepcopy(model).load_state_dict(tensors | tied | tables, strict=True)


def from_hugging_face(resave: Resave, scratch: Path, generator: random.Random) -> None:
    vocabulary = len(json.loads((TOKENIZER / "vocab.json").read_text()))
    for case, (dtype, shards) in enumerate(((torch.float32, None), (torch.float32, "20KB"), (torch.float32, "20KB"),
                                            (torch.float16, None), (torch.bfloat16, "10KB"))):
        theirs, ours = scratch / f"theirs{case}", scratch / f"ours{case}"
        config = random_config(generator, vocabulary, **({"d_model": 24} if shards else {}))
        model = random_model(config, generator.randrange(1000)).to(dtype)
        model.save_pretrained(theirs, safe_serialization=True, **({"max_shard_size": shards} if shards else {}))
        sharded = (theirs / "model.safetensors.index.json").is_file()
        require(sharded == bool(shards), "Hugging Face wrote shards or did not, against what was wanted")
        write_tokenizer(theirs)
        resave(theirs, ours)
        write_tokenizer(ours)

        tensors = {name: tensor.to(torch.float32) for name, tensor in read_tensors(theirs).items()}
        require_equal_tensors(read_tensors(ours), tensors, f"{ours}")
        require_settings_kept(theirs, ours)
        again = read_by_hugging_face(MarianMTModel, ours)
        require_equal_logits(again, read_by_hugging_face(MarianMTModel, theirs), seed=case)
        texts = ["Der Hund sieht einen Ball.", "The dog"]
        require(MarianTokenizer.from_pretrained(ours)(texts).input_ids ==
                MarianTokenizer.from_pretrained(theirs)(texts).input_ids, "another tokenizer")
        again.save_pretrained(scratch / f"again{case}", safe_serialization=True)
        require_equal_tensors(read_tensors(scratch / f"again{case}"), tensors, "Hugging Face, we, Hugging Face")
        resave(scratch / f"again{case}", scratch / f"last{case}")
        require((scratch / f"last{case}" / "model.safetensors").read_bytes() ==
                (ours / "model.safetensors").read_bytes(), "the second time round has another file")
        print(f"  {str(dtype).removeprefix('torch.')}, {'shards' if shards else 'one file'}, d "
              f"{model.config.d_model}, {len(tensors)} tensors: equal")


def to_hugging_face(resave: Resave, scratch: Path, generator: random.Random) -> None:
    mixed = [generator.choice(variants.KINDS) for _ in variants.ROLES]
    papers = ["neural", "neural", "linear", "neural"]
    for case, kinds in enumerate([[kind] * 4 for kind in variants.KINDS] + [papers, mixed]):
        projectors = {role: {"type": kind, "expansion": generator.randint(1, 4)}
                      for role, kind in zip(variants.ROLES, kinds)}
        config = random_config(generator, generator.randint(10, 60), neural_attention={"projectors": projectors})
        start, ours, theirs, last = (scratch / f"{name}{case}" for name in ("start", "ours", "theirs", "last"))
        config.save_pretrained(start)
        resave("--random", start / "config.json", ours)
        tensors = read_tensors(ours)
        model = read_by_hugging_face(NeuralMarianMTModel, ours)
        require(model.config.neural_attention["projectors"] == projectors, "the projectors are not those of the config")
        require_strict_load(model, tensors)
        state = model.state_dict()
        require_equal_tensors({name: state[name] for name in tensors}, tensors, "in Hugging Face's model")
        model.save_pretrained(theirs, safe_serialization=True)
        require_equal_tensors(read_tensors(theirs), tensors, "saved by Hugging Face")
        resave(theirs, last)
        require((last / "model.safetensors").read_bytes() == (ours / "model.safetensors").read_bytes(),
                "we, Hugging Face, we: another file")
        require_settings_kept(theirs, last)
        require_equal_logits(model, read_by_hugging_face(NeuralMarianMTModel, last), seed=case)
        require(json.loads((last / "config.json").read_text())["neural_attention"]["projectors"] == projectors,
                "the projectors were lost")
        print(f"  {', '.join(kinds)}, d {config.d_model}, {len(tensors)} tensors: equal")


def aliases(resave: Resave, scratch: Path, generator: random.Random) -> None:
    config = random_config(generator, 23)
    model = random_model(config, 3)
    folder = scratch / "aliased"
    model.save_pretrained(folder, safe_serialization=True)
    plain = load_file(folder / "model.safetensors")
    state = model.state_dict()
    tables = ("model.encoder.embed_positions.weight", "model.decoder.embed_positions.weight")

    def write(more: dict) -> None:
        save_file({name: tensor.clone() for name, tensor in (plain | more).items()}, folder / "model.safetensors",
                  metadata={"format": "pt"})

    extra = {name: state[name] for name in (*ALIASES, *tables)}
    for more in ({"lm_head.weight": extra["lm_head.weight"]}, extra):
        write(more)
        resave(folder, scratch / "plain")
        require_equal_tensors(read_tensors(scratch / "plain"), plain, "with further names")
    for name in (*ALIASES, *tables):
        changed = extra[name].clone()
        changed[-1, -1] += 0.25
        write(extra | {name: changed})
        resave.refused(folder, scratch / "never", names=["model.safetensors", name])
        require(not (scratch / "never").exists(), "something was saved though the model was refused")
    write({"lm_head.weight": extra["lm_head.weight"][:-1]})
    resave.refused(folder, scratch / "never", names=["model.safetensors", "lm_head.weight"])
    write({"lm_head.bias": torch.zeros(23)})
    resave.refused(folder, scratch / "never", names=["model.safetensors", "lm_head.bias", "unexpected"])
    print("  agreeing names taken, others refused")


def base_size(resave: Resave, scratch: Path, generator: random.Random) -> None:
    """The sizes of opus-mt-de-en, with random weights."""
    config = MarianConfig(**BASE_SIZE)
    theirs, ours = scratch / "theirs", scratch / "ours"
    model = MarianMTModel(config).eval()
    model.generation_config.max_length = 512  # without it Hugging Face stops at 20 tokens, and we at 512
    model.save_pretrained(theirs, safe_serialization=True)
    report = resave(theirs, ours)
    require_equal_tensors(read_tensors(ours), read_tensors(theirs), "base size")
    require_settings_kept(theirs, ours)
    require_equal_logits(model, read_by_hugging_face(MarianMTModel, ours), seed=1)
    print(f"  {model.num_parameters():,} parameters, {report}: equal")


BASE_SIZE = dict(
    vocab_size=58101, decoder_vocab_size=58101, d_model=512, encoder_layers=6, decoder_layers=6,
    encoder_attention_heads=8, decoder_attention_heads=8, encoder_ffn_dim=2048, decoder_ffn_dim=2048,
    max_position_embeddings=512, activation_function="swish", scale_embedding=True, pad_token_id=58100,
    decoder_start_token_id=58100, bos_token_id=0, eos_token_id=0, forced_eos_token_id=0,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resave", type=Path, required=True, help="the program resave_model")
    parser.add_argument("--seed", type=int, default=1, help="of the sizes and kinds that are drawn")
    parser.add_argument("--base_size", action="store_true", help="also a model of 74 million parameters")
    arguments = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    checks = [from_hugging_face, to_hugging_face, aliases] + [base_size] * arguments.base_size
    for check in checks:
        print(f"{check.__name__}, seed {arguments.seed}")
        with tempfile.TemporaryDirectory() as scratch:
            check(Resave(arguments.resave), Path(scratch), random.Random(arguments.seed))


if __name__ == "__main__":
    sys.exit(main())
