"""What tiny Hugging Face models of every kind share: the projections of each role, parameters that are all random.

The projections are those of docs/interchange.md, which neural_projections.py executes from that page:

    linear             nn.Linear                                    k_proj.weight
    sequential_linear  Sequential(Linear)                           k_proj.0.weight
    neural             Sequential(Linear, LayerNorm, ReLU, Linear)  k_proj.{0,1,3}.weight
    plain_neural       Sequential(Linear, ReLU, Linear)             k_proj.{0,2}.weight
    residual           linear(x) + mlp(x), mlp as neural            k_proj.linear.weight, k_proj.mlp.{0,1,3}.weight
    plain_residual     linear(x) + mlp(x), mlp as plain_neural      k_proj.linear.weight, k_proj.mlp.{0,2}.weight

Marian calls its key projection k_proj, RoBERTa self.key.
"""

import numpy as np
import torch
from torch import nn

from neural_projections import projector, widths

ROLES = ("query", "key", "value", "output")
KINDS = ("linear", "sequential_linear", "neural", "plain_neural", "residual", "plain_residual", "identity", "low_rank",
         "deep_linear", "linear_silu", "linear_gelu", "gated_silu", "gated_gelu", "nonlinear_query", "pattention",
         "rational", "glu_silu")
# Biases that shift all keys of a head alike: softmax ignores them, so their exact gradients are zero.
KEY_BIASES = {
    "linear": ("bias",),
    "sequential_linear": ("0.bias",),
    "neural": ("3.bias",),
    "plain_neural": ("2.bias",),
    "residual": ("linear.bias", "mlp.3.bias"),
    "plain_residual": ("linear.bias", "mlp.2.bias"),
    "identity": (),
    "low_rank": ("0.bias", "1.bias"),
    "deep_linear": ("0.bias", "1.bias"),
    "linear_silu": (),
    "linear_gelu": (),
    "gated_silu": ("output.bias",),
    "gated_gelu": ("output.bias",),
    "nonlinear_query": (),
    "pattention": (),
    "rational": ("2.bias",),
    "glu_silu": (),
}


def roles(query: str, key: str, value: str, output: str, expansion: int = 2) -> dict:
    """The projections under the names of config.json's neural_attention.projectors."""
    kinds = {"query": query, "key": key, "value": value, "output": output}
    return {role: {"type": kind, "expansion": expansion} for role, kind in kinds.items()}


def random_roles(draw) -> dict:
    """draw(low, high) gives a whole number, both ends included."""
    return {role: {"type": KINDS[draw(0, len(KINDS) - 1)], "expansion": draw(1, 4)} for role in ROLES}


def random_value_residual(draw, layers: int) -> dict:
    """None, or one with fixed or learned factors, under the names of config.json's neural_attention."""
    kind = ("none", "fixed", "learned")[draw(0, 2)]
    if kind == "none" or layers < 2:
        return {}
    return {"value_residual": kind, "value_residual_own": draw(1, 4) / 2, "value_residual_first": draw(-2, 4) / 2}


def changes_scores(options: dict) -> bool:
    """Whether options of attention are more than another width or other sources of values."""
    return any(not key.startswith(("value_residual", "attention_value_width")) for key in options)


def all_linear(projectors: dict) -> bool:
    return all(one["type"] == "linear" for one in projectors.values())


def replace_projections(places: list, projectors: dict, options: dict = {}) -> None:
    """Of each attention, places holds {role: (module, its member's name)}; linear ones of usual widths stay Hugging
    Face's own."""
    for attention in places:
        width = getattr(*attention["query"]).in_features
        for role, (module, name) in attention.items():
            wide, out = widths(width, role, options)
            if projectors[role]["type"] != "linear" or (wide, out) != (width, width):
                setattr(module, name, projector(wide, out=out, **projectors[role]))
        if "attention_value_width" in options:
            narrow_values(attention, width, options["attention_value_width"])


def narrow_values(attention: dict, width: int, columns: int) -> None:
    """Zeros make each head's values as wide as its keys, and what the heads make of these zeros is cut off."""
    owner = attention["value"][0]
    heads = owner.num_heads if hasattr(owner, "num_heads") else owner.num_attention_heads
    filled, kept = width // heads, columns // heads
    getattr(*attention["value"]).register_forward_hook(
        lambda module, args, v: nn.functional.pad(v.unflatten(-1, (heads, kept)), (0, filled - kept)).flatten(-2))
    getattr(*attention["output"]).register_forward_pre_hook(
        lambda module, args: (args[0].unflatten(-1, (heads, filled))[..., :kept].flatten(-2),))


def saved_names(model) -> list:
    """The names that HF writes to a file: aliases of tied tensors and constant tables left out."""
    dropped = set(model._tied_weights_keys) | set(model._keys_to_ignore_on_save or ())
    # Pegasus does not list these: its positions, and what its two halves share.
    dropped |= {f"{name}.weight" for name, module in model.named_modules() if hasattr(module, "create_weight")}
    dropped |= {name for name in model.state_dict() if name.endswith(".embed_tokens.weight")}
    return [name for name in model.state_dict() if name not in dropped]


@torch.no_grad()
def fill_randomly(model, seed: int, own_values=lambda name, noise: None, order=lambda name: 0) -> None:
    """Gives every saved tensor non-trivial values, rows of padding included. own_values(name, noise) may give those of
    a tensor that needs others. Numbers are drawn in the model's order of tensors; those of which `order` is less come
    first."""
    generator = np.random.default_rng(seed)
    state = model.state_dict()
    norms = tuple(name for name, module in model.named_modules() if isinstance(module, (nn.LayerNorm, nn.RMSNorm)))
    for name in sorted(saved_names(model), key=order):
        tensor = state[name]
        noise = generator.standard_normal(tuple(tensor.shape))
        owner, _, leaf = name.rpartition(".")
        values = own_values(name, noise)
        if values is None and owner in norms:
            values = 1.0 + 0.3 * noise if leaf == "weight" else 0.3 * noise
        elif values is None and leaf == "bias":
            values = 0.3 * noise
        elif values is None and ".value_residual." in name:
            values = 0.5 + 0.3 * noise
        elif values is None and leaf == "scale":
            values = 1.0 + 0.3 * noise
        elif values is None:
            # Two maps of a residual are added, and large scores leave the softmax hardly a gradient.
            gain = 0.9 if ".linear." in name or ".mlp." in name else 1.3
            values = gain / np.sqrt(tensor.shape[1]) * noise
        tensor.copy_(torch.from_numpy(values))
