"""GPT-2's model directories both ways between this library and Hugging Face: no bit of a tensor changes, no setting is
lost.

    python interchange_gpt2.py --resave build/parity/bin/resave_model [--seed N] [--base_size]

The checks of interchange.py, and
aliases         the further name of the output layer's tied matrix is taken where it agrees and refused where it does not
old_files       files without the prefix and with masks, as the Hub has them, are read; other kinds of model are refused
without_biases  models without any bias, which nanoGPT trains
"""

import json
import random
from pathlib import Path

import torch
from transformers import GPT2Config, GPT2LMHeadModel, RobertaTokenizerFast

from model_directories import EditedFile, Family, Resave, check_aliases, fill, read_by_hugging_face, read_tensors
from model_directories import require, require_equal_tensors, run
from model_variants import roles
from neural_projections import NeuralGPT2LMHeadModel


def random_config(generator: random.Random, vocabulary: int, **more) -> GPT2Config:
    end = generator.choice([None, 0, 5])
    return GPT2Config(**dict(
        vocab_size=vocabulary, n_embd=6 * generator.randint(1, 6), n_layer=generator.randint(1, 3),
        n_head=generator.choice([1, 2, 3, 6]), n_inner=generator.choice([None, generator.randint(1, 50)]),
        n_positions=generator.randint(20, 70), activation_function=generator.choice(["gelu_new", "gelu", "relu"]),
        resid_pdrop=generator.choice([0.0, 0.1, 0.25]), embd_pdrop=generator.choice([0.0, 0.05]), attn_pdrop=0.15,
        layer_norm_epsilon=generator.choice([1e-5, 1e-12, 1e-3]), initializer_range=generator.choice([0.02, 0.013]),
        bos_token_id=end, eos_token_id=end, scale_attn_weights=generator.choice([True, False]),
        scale_attn_by_inverse_layer_idx=generator.choice([True, False]), summary_first_dropout=0.2, use_cache=False,
    ) | more)


def random_model(config: GPT2Config, seed: int) -> GPT2LMHeadModel:
    model = GPT2LMHeadModel(config).eval()
    fill(model, seed)
    return model


def logits(model: GPT2LMHeadModel, generator: torch.Generator) -> torch.Tensor:
    return model(input_ids=torch.randint(model.config.vocab_size, (3, 11), generator=generator)).logits


FAMILY = Family(
    stock=GPT2LMHeadModel, neural=NeuralGPT2LMHeadModel, described_by={"config.json": GPT2Config},
    tokenizer=RobertaTokenizerFast, tokenizer_folder=Path(__file__).resolve().parents[1] / "golden" / "byte_bpe",
    tokenizer_files=("tokenizer.json", "vocab.json", "merges.txt"), width="n_embd",
    tied={"lm_head.weight": "transformer.wte.weight"}, optional=(),
    papers_projectors=("nonlinear_query", "linear", "linear", "linear"), random_config=random_config,
    random_model=random_model, logits=logits, base_size=lambda: GPT2LMHeadModel(GPT2Config()),
)


def aliases(family: Family, resave: Resave, scratch: Path, generator: random.Random) -> None:
    check_aliases(family, EditedFile(resave, scratch, random_model(random_config(generator, 23), 3)), tables={})


def old_files(family: Family, resave: Resave, scratch: Path, generator: random.Random) -> None:
    config = random_config(generator, 23)
    file = EditedFile(resave, scratch, random_model(config, 3))
    without_prefix = {name.removeprefix("transformer."): tensor for name, tensor in file.plain.items()}
    mask = torch.ones(config.n_positions, config.n_positions, dtype=torch.uint8).tril()[None, None]
    masks = {f"h.{i}.attn.bias": mask for i in range(config.n_layer)}
    masks |= {f"h.{i}.attn.masked_bias": torch.tensor(-1e4) for i in range(config.n_layer)}
    head = {"lm_head.weight": file.plain["transformer.wte.weight"]}
    file.taken(without_prefix | masks, without=list(file.plain))
    file.taken(without_prefix | masks | head, without=list(file.plain))
    file.taken({f"transformer.{name}": tensor for name, tensor in masks.items()})
    described = json.loads((file.folder / "config.json").read_text())
    for key, value in (("model_type", "gpt_neo"), ("add_cross_attention", True), ("tie_word_embeddings", False),
                       ("activation_function", "tanh"), ("n_head", 5 * described["n_embd"])):
        folder = scratch / key
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(described | {key: value}))
        resave.refused(folder, file.never, names=["config.json", value if key == "model_type" else key])
    print("  old files taken, other kinds of model refused")


def without_biases(family: Family, resave: Resave, scratch: Path, generator: random.Random) -> None:
    for case, kinds in enumerate((["linear"] * 4, ["plain_neural", "neural", "linear", "gated_silu"])):
        described = {"projectors": roles(*kinds), "bias": False}
        config = random_config(generator, 31, n_embd=12, neural_attention=described)
        start, ours, theirs = (scratch / f"{name}{case}" for name in ("start", "ours", "theirs"))
        config.save_pretrained(start)
        resave("--random", start / "config.json", ours)
        tensors = read_tensors(ours)
        require(not any(name.endswith("bias") for name in tensors), "there is a bias")
        read_by_hugging_face(family.neural, ours).save_pretrained(theirs)
        require_equal_tensors(read_tensors(theirs), tensors, "saved by Hugging Face")
    print("  without biases: equal")


if __name__ == "__main__":
    run(__doc__, FAMILY, [aliases, old_files, without_biases])
