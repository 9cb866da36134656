"""Checks examples/translation/convert_pytorch_model.py on files as save_pretrained of Hugging Face 4 wrote them.

    python converter_check.py

Single and sharded pytorch_model.bin, three number formats, tied embeddings, tensors that are not contiguous; and what
must be refused, with a message that names the file and the tensor and with every file as it was.
"""

import contextlib
import importlib.util
import io
import json
import pickle
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import MarianConfig, MarianMTModel
from transformers.utils import logging

from model_directories import fill
from model_variants import saved_names

CONVERTER = Path(__file__).resolve().parents[2] / "examples" / "translation" / "convert_pytorch_model.py"
CONFIG = dict(
    vocab_size=43, decoder_vocab_size=43, d_model=24, encoder_layers=2, decoder_layers=1, encoder_attention_heads=3,
    decoder_attention_heads=2, encoder_ffn_dim=20, decoder_ffn_dim=28, max_position_embeddings=32,
    activation_function="swish", scale_embedding=True, pad_token_id=42, decoder_start_token_id=42, bos_token_id=0,
    eos_token_id=0, forced_eos_token_id=0,
)


def require(condition, text: str) -> None:
    if not condition:
        raise AssertionError(text)


def load_converter():
    specification = importlib.util.spec_from_file_location("convert_pytorch_model", CONVERTER)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def run(*arguments):
    """(exit code, what it prints, its errors), without starting torch anew for each run."""
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        code = load_converter().main([str(argument) for argument in arguments])
    return code, output.getvalue(), errors.getvalue()


def accepted(*arguments) -> None:
    code, _, errors = run(*arguments)
    require(code == 0, f"refused: {errors}")


def refused(*arguments, names) -> None:
    """The converter ends with one line that has all of `names` in it, and changes nothing in the directory."""
    directory = Path(arguments[0])
    before = {file: file.read_bytes() for file in directory.iterdir()} if directory.is_dir() else {}
    code, output, errors = run(*arguments)
    require(code == 1, f"should be refused ({names}), returned {code}: {output}{errors}")
    message = errors.splitlines()[-1]  # torch may warn before it
    require(message.startswith("error: "), f"no message: {errors}")
    for name in names:
        require(name in message, f"'{name}' is not in the message: {message}")
    after = {file: file.read_bytes() for file in directory.iterdir()} if directory.is_dir() else {}
    require(before == after, f"files were changed though refused: {sorted(map(str, before.keys() ^ after.keys()))}")


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    def content(t):
        return t.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()

    return a.dtype == b.dtype and a.shape == b.shape and content(a) == content(b)


def random_model(seed: int) -> MarianMTModel:
    model = MarianMTModel(MarianConfig(**CONFIG)).eval()
    fill(model, seed)
    return model


def save_pickled(model, folder: Path, shard_bytes=None) -> None:
    """What save_pretrained of Hugging Face 4 wrote, 5 does not any more: pytorch_model.bin, or shards of it of about that
    many bytes, where tied tensors stand under each of their names."""
    folder.mkdir()
    model.config.save_pretrained(folder)
    if model.can_generate():
        model.generation_config.save_pretrained(folder)
    dropped = set(model._keys_to_ignore_on_save or ())
    state = {name: tensor for name, tensor in model.state_dict().items() if name not in dropped}
    if shard_bytes is None:
        torch.save(state, folder / "pytorch_model.bin")
        return
    shards, bytes_left = [{}], shard_bytes
    for name, tensor in state.items():
        if shards[-1] and tensor.nbytes > bytes_left:
            shards.append({})
            bytes_left = shard_bytes
        shards[-1][name] = tensor
        bytes_left -= tensor.nbytes
    where = {}
    for number, shard in enumerate(shards, 1):
        file = f"pytorch_model-{number:05}-of-{len(shards):05}.bin"
        torch.save(shard, folder / file)
        where |= dict.fromkeys(shard, file)
    index = {"metadata": {"total_size": sum(tensor.nbytes for tensor in state.values())}, "weight_map": where}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))


def check_as_program(scratch: Path) -> None:
    """Once as a user runs it: exit codes and the help."""
    folder = scratch / "program"
    folder.mkdir()
    torch.save({"weight": torch.ones(3)}, folder / "pytorch_model.bin")
    for arguments, code, text in (([], 2, "model_directory"), (["--help"], 0, "what is refused"),
                                  ([folder], 0, "1 tensors, 3 numbers, float32"), ([folder], 1, "error: ")):
        done = subprocess.run([sys.executable, str(CONVERTER), *map(str, arguments)], capture_output=True, text=True)
        require(done.returncode == code and text in done.stdout + done.stderr, f"{arguments}: {done}")


def check_pickled(scratch: Path) -> None:
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        for shards in (None, 20_000):
            folder = scratch / f"hf-{dtype}-{shards}".replace("torch.", "")
            model = random_model(5).to(dtype)
            save_pickled(model, folder, shards)
            require(bool(list(folder.glob("pytorch_model-*.bin"))) == bool(shards), "no shards where shards are wanted")
            others = {file.name: file.read_bytes() for file in folder.iterdir()}
            accepted(folder)
            require(sorted(file.name for file in folder.iterdir()) == sorted([*others, "model.safetensors"]),
                    "another file than model.safetensors was made")
            require(all((folder / name).read_bytes() == content for name, content in others.items()),
                    "another file was changed")
            found = load_file(folder / "model.safetensors")
            require(set(found) == set(saved_names(model)), "other names than Hugging Face's own safetensors has")
            state = model.state_dict()
            require(all(same(found[name], state[name]) for name in found), "other numbers")
            with safe_open(folder / "model.safetensors", "pt") as file:
                require(file.metadata() == {"format": "pt"}, "transformers needs the metadata format pt")
            # Hugging Face's own safetensors file for this model has the same bytes.
            model.save_pretrained(scratch / "own")
            require((scratch / "own" / "model.safetensors").read_bytes() ==
                    (folder / "model.safetensors").read_bytes(), "not the bytes that Hugging Face writes")
            alone = scratch / "alone"
            shutil.rmtree(alone, ignore_errors=True)
            alone.mkdir()
            for name in ("config.json", "generation_config.json", "model.safetensors"):
                shutil.copy(folder / name, alone)
            again, info = MarianMTModel.from_pretrained(alone, output_loading_info=True, dtype=dtype)
            require(not any(info.values()), f"Hugging Face does not take the file: {info}")
            require(all(same(value, state[name]) for name, value in again.state_dict().items()), "read back otherwise")


def check_odd_tensors(scratch: Path) -> None:
    """Transposed, overlapping and shared tensors, scalars and empty ones; a NaN in a tied matrix."""
    folder = scratch / "odd"
    folder.mkdir()
    base = torch.arange(12.0).reshape(3, 4)
    tied = torch.tensor([[1.0, float("nan")], [-0.0, 2.0]])
    state = {
        "transposed": base.t(), "part": base[1:], "whole": base, "twice": base, "scalar": torch.tensor(3.5),
        "empty": torch.zeros(0, 7), "integers": torch.arange(5), "flags": torch.tensor([True, False]),
        "double": torch.tensor([0.1], dtype=torch.float64),
        "model.shared.weight": tied, "lm_head.weight": tied, "model.encoder.embed_tokens.weight": tied.clone(),
        "model.decoder.embed_tokens.weight": torch.tensor([[1.0, float("nan")], [0.0, 2.0]]),  # +0 is not -0
    }
    torch.save(state, folder / "pytorch_model.bin")
    accepted(folder)
    found = load_file(folder / "model.safetensors")
    expected = set(state) - {"lm_head.weight", "model.encoder.embed_tokens.weight"}
    require(set(found) == expected, f"wrong names: {sorted(set(found) ^ expected)}")
    require(all(same(found[name], state[name].contiguous()) for name in found), "other numbers")

    output = scratch / "elsewhere.safetensors"
    accepted(folder, "--output", output)
    require(output.read_bytes() == (folder / "model.safetensors").read_bytes(), "--output gives other bytes")
    refused(folder, names=["model.safetensors", "--overwrite"])
    (folder / "model.safetensors").write_bytes(b"old")
    accepted(folder, "--overwrite")
    require(output.read_bytes() == (folder / "model.safetensors").read_bytes(), "--overwrite gives other bytes")

    old = scratch / "old"
    old.mkdir()
    torch.save({"lm_head.weight": tied, "model.shared.weight": tied}, old / "pytorch_model.bin",
               _use_new_zipfile_serialization=False)
    accepted(old)
    require(set(load_file(old / "model.safetensors")) == {"model.shared.weight"}, "the old pickle format is misread")


class Runs:
    """Unpickling this would run code."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


def check_refusals(scratch: Path) -> None:
    refused(scratch / "nowhere", names=["nowhere", "no such directory"])
    folder = scratch / "bad"
    folder.mkdir()
    bin_file, index = folder / "pytorch_model.bin", folder / "pytorch_model.bin.index.json"
    refused(folder, names=["bad", "neither pytorch_model.bin nor"])

    marker = scratch / "code_was_run"
    with open(bin_file, "wb") as file:
        pickle.dump({"weight": Runs(marker)}, file)
    refused(folder, names=["pytorch_model.bin"])
    torch.save({"weight": Runs(marker)}, bin_file)
    refused(folder, names=["pytorch_model.bin"])
    require(not marker.exists(), "code of the pickle was run")

    for content in (b"", b"not a pickle at all", b"PK\x03\x04broken"):
        bin_file.write_bytes(content)
        refused(folder, names=["pytorch_model.bin"])
    torch.save({"weight": torch.zeros(300)}, bin_file)
    bin_file.write_bytes(bin_file.read_bytes()[:-200])
    refused(folder, names=["pytorch_model.bin"])
    for state, name in (({"step": 3}, "step"), ({"bad": torch.zeros(2, 2).to_sparse()}, "bad"),
                        ({"bad": torch.zeros(2, dtype=torch.complex64)}, "bad"), ({7: torch.zeros(2)}, "7"),
                        ({"nested": {"weight": torch.zeros(2)}}, "nested"), ([torch.zeros(2)], "list"),
                        ({}, "no tensors")):
        torch.save(state, bin_file)
        refused(folder, names=["pytorch_model.bin", name])
    bin_file.unlink()

    first, second = "pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"
    where = {"a": first, "b": second}
    torch.save({"a": torch.zeros(2)}, folder / first)
    for content in ("", "{", "[]", "{}", '{"weight_map": 3}', '{"weight_map": {"a": 3}}'):
        index.write_text(content)
        refused(folder, names=[index.name])
    index.write_text(json.dumps({"weight_map": where}))
    refused(folder, names=[second, "no such file"])
    torch.save({"c": torch.zeros(2)}, folder / second)
    refused(folder, names=[second, "'b'"])
    torch.save({"b": torch.zeros(2), "a": torch.zeros(2)}, folder / second)
    refused(folder, names=[second, "'a'"])
    index.write_text(json.dumps({"weight_map": {"a": "../" + first}}))
    refused(folder, names=[index.name, "../"])

    torch.save({"b": torch.zeros(2)}, folder / second)
    index.write_text(json.dumps({"weight_map": where}))
    refused(folder, "--output", scratch / "missing_folder" / "model.safetensors", names=["missing_folder"])
    save_file({"x": torch.zeros(1)}, folder / "model-00001-of-00001.safetensors")
    (folder / "model.safetensors.index.json").write_text("{}")
    refused(folder, names=["model.safetensors.index.json", "--overwrite"])
    accepted(folder, "--overwrite")

    # A disk that is full half way: `refused` checks that the old file stands and nothing else was left.
    torch.save({"b": torch.zeros(5000)}, folder / second)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10000, limits[1]))
    try:
        refused(folder, "--overwrite", names=["model.safetensors", "cannot be written"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def main() -> None:
    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as scratch:
        for check in (check_as_program, check_pickled, check_odd_tensors, check_refusals):
            check(Path(scratch))
            print(f"{check.__name__}: fine")


if __name__ == "__main__":
    main()
