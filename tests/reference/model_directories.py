"""What interchange.py and interchange_roberta.py share: model directories of a Family go from one side to the other.

The checks take the program resave_model, an empty folder and a generator of sizes and kinds; run() is the command line.
"""

import argparse
import copy
import json
import random
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers.utils import logging

from model_variants import KINDS, ROLES, saved_names

# What differs by its nature: where the files lay, who wrote them, the number format (we save float32), our own key.
UNSTABLE = {"_name_or_path", "transformers_version", "dtype", "torch_dtype", "neural_attention", "_from_model_config"}


@dataclass(frozen=True)
class Family:
    stock: type  # Hugging Face's model
    neural: type  # the one that docs/interchange.md shows
    described_by: dict  # {file: Hugging Face's class}
    tokenizer: type
    tokenizer_folder: Path
    tokenizer_files: tuple
    width: str  # under this name in config.json
    tied: dict  # {further name in files: the name that Hugging Face saves}
    optional: tuple  # tensors that a file may lack
    papers_projectors: tuple  # query, key, value, output
    random_config: Callable  # (generator, vocabulary, **more), odd sizes and settings that are not the default
    random_model: Callable  # (config, seed)
    logits: Callable  # (model, generator) of random ids
    base_size: Callable  # () -> a stock model

    def vocabulary(self) -> int:
        return len(json.loads((self.tokenizer_folder / "vocab.json").read_text()))

    def write_tokenizer(self, directory: Path) -> None:
        for name in self.tokenizer_files:
            shutil.copy(self.tokenizer_folder / name, directory)


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


@torch.no_grad()
def fill(model, seed: int) -> None:
    """Random numbers in every tensor that is saved: initial biases are all alike and would hide a mix-up."""
    generator = torch.Generator().manual_seed(seed)
    state = model.state_dict()
    for name in saved_names(model):
        state[name].copy_(torch.randn(state[name].shape, generator=generator) * 0.3)


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


def require_settings_kept(family: Family, before: Path, after: Path) -> None:
    """What config.json and its like say, and what Hugging Face reads from them."""
    for file, kind in family.described_by.items():
        old, new = (json.loads((folder / file).read_text()) for folder in (before, after))
        for key in old.keys() - UNSTABLE:
            require(key in new, f"{after / file}: lost the key '{key}'")
            require(new[key] == old[key], f"{after / file}: '{key}' is {new[key]}, was {old[key]}")
        old, new = (kind.from_pretrained(folder).to_dict() for folder in (before, after))
        for key in (old.keys() | new.keys()) - UNSTABLE:
            require(old.get(key) == new.get(key), f"{after / file}: Hugging Face reads {key} = {new.get(key)}, "
                                                  f"before it was {old.get(key)}")


def read_by_hugging_face(kind, directory: Path, **more):
    """In the number format that config.json says, unless `more` says another."""
    model, report = kind.from_pretrained(directory, output_loading_info=True, **more)
    require(not any(report.values()), f"{directory}: Hugging Face finds fault: {report}")
    return model.eval()


@torch.no_grad()
def require_equal_logits(family: Family, a, b, seed: int) -> None:
    logits = [family.logits(model, torch.Generator().manual_seed(seed)) for model in (a, b)]
    require(torch.equal(*logits) and logits[0].isfinite().all(), "other logits")


def require_strict_load(family: Family, model, tensors: dict) -> None:
    """load_state_dict(strict=True): the file has all that the state has but the names that no file of HF's has."""
    own = model.state_dict()
    unsaved = own.keys() - set(saved_names(model))
    require(unsaved.isdisjoint(tensors), "the file has names that Hugging Face does not save")
    tied = {name: tensors[family.tied[name]] for name in unsaved & family.tied.keys()}
    tables = {name: own[name] for name in unsaved - family.tied.keys()}
    copy.deepcopy(model).load_state_dict(tensors | tied | tables, strict=True)


def from_hugging_face(family: Family, resave: Resave, scratch: Path, generator: random.Random) -> None:
    for case, (dtype, shards) in enumerate(((torch.float32, None), (torch.float32, "20KB"), (torch.float32, "20KB"),
                                            (torch.float16, None), (torch.bfloat16, "10KB"))):
        theirs, ours = scratch / f"theirs{case}", scratch / f"ours{case}"
        config = family.random_config(generator, family.vocabulary(), **({family.width: 24} if shards else {}))
        model = family.random_model(config, generator.randrange(1000)).to(dtype)
        model.save_pretrained(theirs, **({"max_shard_size": shards} if shards else {}))
        sharded = (theirs / "model.safetensors.index.json").is_file()
        require(sharded == bool(shards), "Hugging Face wrote shards or did not, against what was wanted")
        family.write_tokenizer(theirs)
        resave(theirs, ours)
        family.write_tokenizer(ours)

        tensors = {name: tensor.to(torch.float32) for name, tensor in read_tensors(theirs).items()}
        require_equal_tensors(read_tensors(ours), tensors, f"{ours}")
        require_settings_kept(family, theirs, ours)
        again = read_by_hugging_face(family.stock, ours)
        require(again.dtype == torch.float32, f"Hugging Face reads float32 tensors as {again.dtype}")
        require_equal_logits(family, again, read_by_hugging_face(family.stock, theirs, dtype=torch.float32), seed=case)
        texts = ["Der Hund sieht einen Ball.", "The dog"]
        require(family.tokenizer.from_pretrained(ours)(texts).input_ids ==
                family.tokenizer.from_pretrained(theirs)(texts).input_ids, "another tokenizer")
        again.save_pretrained(scratch / f"again{case}")
        require_equal_tensors(read_tensors(scratch / f"again{case}"), tensors, "Hugging Face, we, Hugging Face")
        resave(scratch / f"again{case}", scratch / f"last{case}")
        require((scratch / f"last{case}" / "model.safetensors").read_bytes() ==
                (ours / "model.safetensors").read_bytes(), "the second time round has another file")
        print(f"  {str(dtype).removeprefix('torch.')}, {'shards' if shards else 'one file'}, width "
              f"{getattr(config, family.width)}, {len(tensors)} tensors: equal")


def to_hugging_face(family: Family, resave: Resave, scratch: Path, generator: random.Random) -> None:
    mixed = [generator.choice(KINDS) for _ in ROLES]
    for case, kinds in enumerate([[kind] * 4 for kind in KINDS] + [family.papers_projectors, mixed]):
        projectors = {role: {"type": kind, "expansion": generator.randint(1, 4)} for role, kind in zip(ROLES, kinds)}
        config = family.random_config(generator, generator.randint(10, 60), neural_attention={"projectors": projectors})
        if config.num_hidden_layers > 1:
            config.neural_attention["value_residual"] = ("learned", "fixed")[case % 2]
        if not {"identity", "nonlinear_query"} & set(kinds[2:]):  # which keep the width; all heads divide 6
            narrow = 6 * generator.randint(1, getattr(config, family.width) // 6)
            config.neural_attention["attention_value_width"] = narrow
        start, ours, theirs, last = (scratch / f"{name}{case}" for name in ("start", "ours", "theirs", "last"))
        config.save_pretrained(start)
        resave("--random", start / "config.json", ours)
        tensors = read_tensors(ours)
        model = read_by_hugging_face(family.neural, ours)
        require(model.config.neural_attention["projectors"] == projectors, "the projectors are not those of the config")
        require_strict_load(family, model, tensors)
        state = model.state_dict()
        require_equal_tensors({name: state[name] for name in tensors}, tensors, "in Hugging Face's model")
        model.save_pretrained(theirs)
        require_equal_tensors(read_tensors(theirs), tensors, "saved by Hugging Face")
        resave(theirs, last)
        require((last / "model.safetensors").read_bytes() == (ours / "model.safetensors").read_bytes(),
                "we, Hugging Face, we: another file")
        require_settings_kept(family, theirs, last)
        require_equal_logits(family, model, read_by_hugging_face(family.neural, last), seed=case)
        require(json.loads((last / "config.json").read_text())["neural_attention"]["projectors"] == projectors,
                "the projectors were lost")
        print(f"  {', '.join(kinds)}, width {getattr(config, family.width)}, {len(tensors)} tensors: equal")


class EditedFile:
    """A model.safetensors that Hugging Face wrote, written again with other tensors."""

    def __init__(self, resave: Resave, scratch: Path, model):
        self.resave, self.folder = resave, scratch / "edited"
        self.result, self.never = scratch / "result", scratch / "never"
        model.save_pretrained(self.folder)
        self.plain = load_file(self.folder / "model.safetensors")

    def write(self, tensors: dict) -> None:
        save_file({name: tensor.clone() for name, tensor in tensors.items()}, self.folder / "model.safetensors",
                  metadata={"format": "pt"})

    def taken(self, more: dict, without=()) -> None:
        """It is the same model as without the changes."""
        self.write({name: tensor for name, tensor in self.plain.items() if name not in without} | more)
        self.resave(self.folder, self.result)
        require_equal_tensors(read_tensors(self.result), self.plain, f"with {sorted(more)} without {sorted(without)}")

    def refused(self, more: dict, *names: str, without=()) -> None:
        self.write({name: tensor for name, tensor in self.plain.items() if name not in without} | more)
        self.resave.refused(self.folder, self.never, names=["model.safetensors", *names])
        require(not self.never.exists(), "something was saved though the model was refused")


def check_aliases(family: Family, file: EditedFile, tables: dict) -> None:
    """Further names of tied tensors, and tables that need not be in a file but must be right if they are."""
    tied = {name: file.plain[saved] for name, saved in family.tied.items()}
    for name, tensor in tied.items():
        file.taken({name: tensor})
        file.taken({name: tensor}, without=[family.tied[name]])
        file.refused({name: tensor[:-1].contiguous()}, name)
    file.taken(tied | tables)
    for name, tensor in (tied | tables).items():
        changed = tensor.clone()
        changed.view(-1)[-1] += 0.25
        file.refused(tied | tables | {name: changed}, name)
    file.refused({"lm_head.stranger": torch.zeros(3)}, "unexpected", "lm_head.stranger")
    print("  agreeing names taken, others refused")


def misfits(family: Family, resave: Resave, scratch: Path, generator: random.Random) -> None:
    file = EditedFile(resave, scratch, family.random_model(family.random_config(generator, 23), 3))
    for name, tensor in file.plain.items():
        file.refused({name: tensor[..., :-1].contiguous()}, f"wrong shape  {name}")
        if name in family.optional:
            continue
        file.refused({}, f"missing      {name}", without=[name])
    print(f"  each of {len(file.plain)} tensors missing or of another shape: refused by its name")


def base_size(family: Family, resave: Resave, scratch: Path, generator: random.Random) -> None:
    """The sizes of the model that most others begin with; random weights."""
    theirs, ours = scratch / "theirs", scratch / "ours"
    model = family.base_size().eval()
    model.save_pretrained(theirs)
    report = resave(theirs, ours)
    require_equal_tensors(read_tensors(ours), read_tensors(theirs), "base size")
    require_settings_kept(family, theirs, ours)
    require_equal_logits(family, model, read_by_hugging_face(family.stock, ours), seed=1)
    print(f"  {model.num_parameters():,} parameters, {report}: equal")


def run(text: str, family: Family, more_checks) -> None:
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resave", type=Path, required=True, help="the program resave_model")
    parser.add_argument("--seed", type=int, default=1, help="of the sizes and kinds that are drawn")
    parser.add_argument("--base_size", action="store_true", help="also a model of opus-mt's or roberta-base's size")
    arguments = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    checks = [from_hugging_face, to_hugging_face, misfits, *more_checks] + [base_size] * arguments.base_size
    for check in checks:
        print(f"{check.__name__}, seed {arguments.seed}", flush=True)
        with tempfile.TemporaryDirectory() as scratch:
            check(family, Resave(arguments.resave), Path(scratch), random.Random(arguments.seed))
