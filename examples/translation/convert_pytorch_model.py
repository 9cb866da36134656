#!/usr/bin/env python3
"""Writes model.safetensors beside the pytorch_model.bin of a Hugging Face model directory.

The C++ programs read weights from safetensors files only. Older models, many of Helsinki-NLP's among them, come as
pytorch_model.bin: a Python pickle, in one file or in shards with a pytorch_model.bin.index.json.

    python convert_pytorch_model.py opus-mt-de-en
    translation translate --model opus-mt-de-en

Needs torch (1.13 or newer) and safetensors: pip install torch safetensors
"""

import argparse
import inspect
import json
import os
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

ABOUT = """\
Writes model.safetensors beside the pytorch_model.bin of a Hugging Face model directory, because the C++ programs read
weights from safetensors files only. Nothing else in the directory is touched: config.json, vocab.json, source.spm and
the others stay where they are, and pytorch_model.bin may be deleted afterwards."""

DETAILS = """\
what is written:
  Every tensor under its own name, in its own number format, with the same bits. Names that mean one tensor (a Marian
  model has its embedding four times: model.shared.weight, model.encoder.embed_tokens.weight,
  model.decoder.embed_tokens.weight and lm_head.weight) are written once, as model.shared.weight. One that differs
  from the others, be it in a single bit, is kept.

what is refused:
  A pickle that wants more than tensors: torch loads with weights_only, so no code of the file is run. An entry that is
  no dense tensor. Shards that do not hold what their index says. A model.safetensors that is already there, unless
  --overwrite is given. The file is written under another name and renamed when it is complete, so a failure leaves
  what was there before.

examples:
  convert_pytorch_model.py opus-mt-de-en
  convert_pytorch_model.py read_only/opus-mt-de-en --output /tmp/opus-mt-de-en/model.safetensors
"""

# In a Marian model these are one matrix; a file that Hugging Face writes as safetensors has the first name only.
TIED = (
    "model.shared.weight",
    "model.encoder.embed_tokens.weight",
    "model.decoder.embed_tokens.weight",
    "lm_head.weight",
)


class Refused(Exception):
    """What is wrong with which file, for the user."""


def read_pickle(path: Path) -> dict:
    """The tensors of one pytorch_model*.bin by name."""
    if "weights_only" not in inspect.signature(torch.load).parameters:
        raise Refused(f"torch {torch.__version__} would run code that a pickle brings; take torch 1.13 or newer")
    if not path.is_file():
        raise Refused(f"{path}: there is no such file")
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zip and torch each have their own kinds
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise Refused(f"{path}: torch cannot read it as a file of tensors only: {reason}") from error
    if not isinstance(tensors, dict):
        raise Refused(f"{path}: holds a {type(tensors).__name__}, expected a dictionary of tensors")
    for name, tensor in tensors.items():
        if not isinstance(name, str):
            raise Refused(f"{path}: has the key {name!r}, which is no name of a tensor")
        if not isinstance(tensor, torch.Tensor):
            raise Refused(f"{path}: '{name}' is a {type(tensor).__name__}, expected a tensor")
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_complex():
            raise Refused(f"{path}: tensor '{name}' is sparse, quantized or complex; only dense real ones are supported")
    return tensors


def read_shards(index_path: Path) -> dict:
    """The tensors of all shards that a pytorch_model.bin.index.json names."""
    try:
        where = json.loads(index_path.read_text(encoding="utf-8"))["weight_map"]
        shards = sorted(set(where.values()), key=str)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refused(f"{index_path}: is no index of shards, it needs a 'weight_map' from names to files") from error
    tensors = {}
    for shard in shards:
        if not isinstance(shard, str) or Path(shard).name != shard:
            raise Refused(f"{index_path}: names the shard '{shard}', which is not a file beside it")
        found = read_pickle(index_path.parent / shard)
        expected = {name for name, file in where.items() if file == shard}
        for name in sorted(expected - found.keys()):
            raise Refused(f"{index_path.parent / shard}: lacks tensor '{name}', which {index_path.name} says is there")
        for name in sorted(found.keys() - expected):
            raise Refused(f"{index_path.parent / shard}: has tensor '{name}', which {index_path.name} does not put there")
        tensors.update(found)
    return tensors


def read_model(directory: Path):
    """The tensors by name and the file that says which they are. A single file wins over shards, as in transformers."""
    single, index = directory / "pytorch_model.bin", directory / "pytorch_model.bin.index.json"
    if single.is_file():
        return read_pickle(single), single
    if index.is_file():
        return read_shards(index), index
    raise Refused(f"{directory}: has neither pytorch_model.bin nor pytorch_model.bin.index.json")


def same_bits(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Also where the numbers are NaN, which differ from themselves."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    return torch.equal(a.contiguous().reshape(-1).view(torch.uint8), b.contiguous().reshape(-1).view(torch.uint8))


def without_aliases(tensors: dict):
    """The tied matrix once: (what remains, pairs of a name left out and the name that stands for it)."""
    kept, aliases = dict(tensors), []
    for i, name in enumerate(TIED):
        for twin in TIED[:i]:
            if name in kept and twin in kept and same_bits(kept[name], kept[twin]):
                del kept[name]
                aliases.append((name, twin))
    return kept, aliases


def write(tensors: dict, path: Path) -> None:
    """Under another name first: `path` is either complete or as it was."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        # clone: save_file refuses tensors that are parts of one storage.
        save_file({name: tensor.detach().contiguous().clone() for name, tensor in tensors.items()}, part,
                  metadata={"format": "pt"})
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    except Exception as error:
        raise Refused(f"{path}: cannot be written: {error}") from error
    finally:
        part.unlink(missing_ok=True)


def convert(directory: Path, output: Path, overwrite: bool) -> str:
    """Does it; returns a line that says what was done."""
    if not directory.is_dir():
        raise Refused(f"{directory}: there is no such directory")
    for existing in (output, output.with_name(output.name + ".index.json")):
        if existing.exists() and not overwrite:
            raise Refused(f"{existing}: is already there; --overwrite writes {output.name} all the same")
    tensors, source = read_model(directory)
    if not tensors:
        raise Refused(f"{source}: holds no tensors")
    kept, aliases = without_aliases(tensors)
    write(kept, output)
    for name, twin in aliases:
        print(f"{name} is {twin}, written once")
    numbers = sum(tensor.numel() for tensor in kept.values())
    kinds = ", ".join(sorted({str(tensor.dtype).removeprefix("torch.") for tensor in kept.values()}))
    return f"{output}: {len(kept)} tensors, {numbers:,} numbers, {kinds}"


def main(command_line=None) -> int:
    parser = argparse.ArgumentParser(description=ABOUT, epilog=DETAILS,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model_directory", type=Path, help="holds pytorch_model.bin or pytorch_model.bin.index.json")
    parser.add_argument("--output", type=Path, metavar="FILE", help="default: model.safetensors in the model directory")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is already there")
    arguments = parser.parse_args(command_line)
    try:
        print(convert(arguments.model_directory, arguments.output or arguments.model_directory / "model.safetensors",
                      arguments.overwrite))
    except Refused as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
