"""Tiny Hugging Face Marian models whose attention projections are replaced by role.

A preset says, for each role (q, k, v, out), which kind of map stands at `<role>_proj`:

    linear             nn.Linear                                  k_proj.weight
    sequential_linear  Sequential(Linear)                         k_proj.0.weight
    neural             Sequential(Linear, LayerNorm, ReLU, Linear)  k_proj.{0,1,3}.weight
    plain_neural       Sequential(Linear, ReLU, Linear)           k_proj.{0,2}.weight

The replacement is made in every MarianAttention (encoder self, decoder self, decoder cross). The scale d_head^-0.5
that MarianAttention applies after q_proj stays as it is. `linear` for all four roles leaves the stock model untouched.
"""

from dataclasses import asdict, dataclass
from typing import Iterator, Tuple

import numpy as np
import torch
from torch import nn
from transformers import MarianConfig, MarianMTModel
from transformers.models.marian.modeling_marian import MarianAttention, MarianSinusoidalPositionalEmbedding

ROLES = ("q", "k", "v", "out")


@dataclass(frozen=True)
class Variant:
    """Kinds of the four projections; `expansion` is hidden width / model width of the neural kinds."""

    q: str
    k: str
    v: str
    out: str
    expansion: int = 2

    def kind(self, role: str) -> str:
        return getattr(self, role)

    def as_dict(self) -> dict:
        return asdict(self)


PRESETS = {
    "linear": Variant("linear", "linear", "linear", "linear"),
    "paper_marian": Variant("neural", "neural", "linear", "neural"),
    "paper_marian_baseline": Variant("sequential_linear", "sequential_linear", "linear", "sequential_linear"),
    "plain_neural": Variant("plain_neural", "plain_neural", "plain_neural", "plain_neural"),
    "mixed": Variant("linear", "neural", "plain_neural", "neural", expansion=3),
}


def make_projector(kind: str, d_in: int, d_out: int, expansion: int) -> nn.Module:
    """A map [..., d_in] -> [..., d_out] of the given kind, with torch's own member numbering."""
    hidden = expansion * d_in
    if kind == "linear":
        return nn.Linear(d_in, d_out)
    if kind == "sequential_linear":
        return nn.Sequential(nn.Linear(d_in, d_out))
    if kind == "neural":
        return nn.Sequential(nn.Linear(d_in, hidden), nn.LayerNorm(hidden), nn.ReLU(), nn.Linear(hidden, d_out))
    if kind == "plain_neural":
        return nn.Sequential(nn.Linear(d_in, hidden), nn.ReLU(), nn.Linear(hidden, d_out))
    raise ValueError(f"unknown projector kind {kind!r}")


def attention_modules(model: MarianMTModel) -> Iterator[Tuple[str, MarianAttention]]:
    for name, module in model.named_modules():
        if isinstance(module, MarianAttention):
            yield name, module


def replace_projections(model: MarianMTModel, variant: Variant) -> int:
    """Replaces the projections in place; returns the number of attention modules seen."""
    modules = list(attention_modules(model))
    for _, attention in modules:
        for role in ROLES:
            if variant.kind(role) != "linear":
                projector = make_projector(
                    variant.kind(role), attention.embed_dim, attention.embed_dim, variant.expansion
                )
                setattr(attention, f"{role}_proj", projector)
    return len(modules)


def key_bias_name(kind: str) -> str:
    """The bias that shifts all keys of a head alike: softmax ignores it, so its exact gradient is zero."""
    last = {"linear": "", "sequential_linear": "0.", "neural": "3.", "plain_neural": "2."}[kind]
    return f"k_proj.{last}bias"


def sinusoidal_table(positions: int, width: int) -> np.ndarray:
    """HF's table in float64: sines of the even columns' angles first, then the odd columns' cosines."""
    columns = np.arange(width)
    angles = np.arange(positions)[:, None] / np.power(10000.0, 2 * (columns // 2) / width)[None, :]
    return np.concatenate([np.sin(angles[:, 0::2]), np.cos(angles[:, 1::2])], axis=1)


def widen_position_tables(model: MarianMTModel) -> None:
    """Replaces the tables, which HF rounds to float32 even in a float64 model, by the same formula in float64."""
    for module in model.modules():
        if isinstance(module, MarianSinusoidalPositionalEmbedding):
            table = sinusoidal_table(*module.weight.shape)
            rounded = torch.from_numpy(table.astype(np.float32)).double()
            if not torch.equal(rounded, module.weight.data):
                raise AssertionError("the float64 position table does not round to HF's own")
            module.weight.data.copy_(torch.from_numpy(table))


def saved_names(model: MarianMTModel) -> list:
    """The names that HF writes to a file: aliases of the tied matrix and the position tables left out."""
    dropped = set(model._tied_weights_keys) | set(model._keys_to_ignore_on_save)
    return [name for name in model.state_dict() if name not in dropped]


def fill_randomly(model: MarianMTModel, seed: int) -> None:
    """Gives every saved tensor non-trivial values, the padding row of the embedding included."""
    generator = np.random.default_rng(seed)
    state = model.state_dict()
    norms = tuple(name for name, module in model.named_modules() if isinstance(module, nn.LayerNorm))
    for name in saved_names(model):
        tensor = state[name]
        noise = generator.standard_normal(tuple(tensor.shape))
        owner, _, leaf = name.rpartition(".")
        if owner in norms:
            values = 1.0 + 0.3 * noise if leaf == "weight" else 0.3 * noise
        elif name == "model.shared.weight":
            values = 0.4 * noise
        elif name == "final_logits_bias":
            values = 0.5 * noise
            values[0, model.config.eos_token_id] += 1.0  # else hardly any greedy sentence ends before the limit
        elif leaf == "bias":
            values = 0.3 * noise
        else:
            # A strong feed-forward branch keeps greedy decoding from repeating its input token through the residual.
            gain = 4.0 if ".fc2." in name else 1.3
            values = gain / np.sqrt(tensor.shape[1]) * noise
        tensor.copy_(torch.from_numpy(values))


def build(config: MarianConfig, variant: Variant, seed: int) -> MarianMTModel:
    """A float64 model in evaluation mode with seeded parameters; its tied embedding keeps HF's padding_idx."""
    model = MarianMTModel(config)
    attentions = replace_projections(model, variant)
    if attentions != config.encoder_layers + 2 * config.decoder_layers:
        raise AssertionError("not every attention was found")
    model = model.double()
    model.tie_weights()
    widen_position_tables(model)
    with torch.no_grad():
        fill_randomly(model, seed)
    shared = model.model.shared
    if shared.padding_idx != config.pad_token_id:
        raise AssertionError("the embedding lost its padding index")
    if model.model.encoder.embed_tokens is not shared or model.model.decoder.embed_tokens is not shared:
        raise AssertionError("encoder and decoder do not share the embedding module")
    if model.lm_head.weight is not shared.weight:
        raise AssertionError("the output layer is not tied to the embedding")
    return model.eval()
