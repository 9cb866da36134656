"""Writes tests/golden/modules/: float64 values and gradients of single modules, optimizer steps and schedules.

Usage: python module_goldens.py [--output DIR]     (default: ../golden/modules beside this file)
modules.safetensors, attention_options.safetensors and value_widths.safetensors have keys <module>.<case>.<tensor>,
schedules.json the learning-rate factors, sampling.json what is left of probabilities where tokens are drawn; README.md,
attention_options.md and value_widths.md list the keys with their shapes. All of them are byte-identical from run to run.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file
from torch import nn
from transformers import GenerationConfig, get_scheduler
from transformers.models.marian.modeling_marian import MarianSinusoidalPositionalEmbedding

import marian_variants as variants
from neural_projections import attention_with_options, projector


def require(condition, text: str) -> None:
    if not condition:
        raise AssertionError(text)


# Where activations are asked what they do far out and near zero.
SPECIAL = torch.tensor([[-40.0, -12.0, -6.0, -3.0, -1.0, -1e-3, 0.0], [40.0, 12.0, 6.0, 3.0, 1.0, 1e-3, 1e-300]],
                       dtype=torch.float64)


class Goldens:
    """Collects tensors under <module>.<case>.<tensor>; one seeded generator makes all random values."""

    def __init__(self, seed: int, tensors: dict):
        self.tensors = tensors
        self.generator = np.random.default_rng(seed)

    def normal(self, *shape, scale=1.0) -> torch.Tensor:
        return torch.from_numpy(scale * self.generator.standard_normal(shape))

    def put(self, prefix: str, **named) -> None:
        for name, value in named.items():
            array = value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
            if array.dtype.kind in "iu":
                array = array.astype(np.int64)
            array = np.ascontiguousarray(np.atleast_1d(array)).copy()
            key = f"{prefix}.{name}"
            require(key not in self.tensors, f"{key} is written twice")
            require(array.dtype in (np.float64, np.float32, np.int64), f"{key} has type {array.dtype}")
            require(array.size > 0 and np.isfinite(array).all(), f"{key} is empty or not finite")
            self.tensors[key] = array

    def put_module(self, prefix: str, module: nn.Module, x: torch.Tensor) -> None:
        """Input, named parameters, output, dy and every gradient of a module of one input."""
        x = x.clone().requires_grad_()
        y = module(x)
        dy = self.normal(*y.shape)
        y.backward(dy)
        self.put(prefix, x=x, y=y, dy=dy, dx=x.grad)
        for name, parameter in module.named_parameters():
            require(parameter.grad.abs().max() > 0, f"{prefix}: {name} has no gradient")
            self.put(prefix, **{name: parameter, f"d{name}": parameter.grad})


def randomise(goldens: Goldens, module: nn.Module) -> nn.Module:
    for part in module.modules():
        if isinstance(part, (RmsNorm, nn.RMSNorm)):
            part.weight.data = 1 + goldens.normal(*part.weight.shape, scale=0.3)
        elif isinstance(part, nn.LayerNorm):
            part.weight.data = 1 + goldens.normal(*part.weight.shape, scale=0.3)
            if part.bias is not None:
                part.bias.data = goldens.normal(*part.bias.shape, scale=0.3)
        elif isinstance(part, nn.Linear):
            part.weight.data = goldens.normal(*part.weight.shape, scale=part.in_features**-0.5)
            if part.bias is not None:
                part.bias.data = goldens.normal(*part.bias.shape, scale=0.3)
    return module


def simple_modules(g: Goldens) -> None:
    g.put_module("linear.basic", randomise(g, nn.Linear(7, 3)), g.normal(5, 7))
    g.put_module("linear.one_row", randomise(g, nn.Linear(6, 9)), g.normal(1, 6))
    g.put_module("linear.no_bias", randomise(g, nn.Linear(7, 3, bias=False)), g.normal(5, 7))

    g.put_module("layer_norm.basic", randomise(g, nn.LayerNorm(7)), g.normal(5, 7))
    rows = g.normal(4, 6)
    rows[1] = 0.75  # a row without variance
    rows[2] = 1000 + 1e-3 * rows[2]  # cancellation
    rows[3] *= 1e-4  # variance below eps
    g.put_module("layer_norm.hard", randomise(g, nn.LayerNorm(6)), rows)
    norm_relu = nn.Sequential(randomise(g, nn.LayerNorm(10)), nn.ReLU())
    x = g.normal(5, 10).requires_grad_()
    y = norm_relu(x)
    dy = g.normal(5, 10)
    y.backward(dy)
    require(0.2 < (y == 0).double().mean() < 0.8, "ReLU should cut some values and keep some")
    norm = norm_relu[0]
    g.put("layer_norm_relu.basic", x=x, y=y, dy=dy, dx=x.grad, weight=norm.weight, bias=norm.bias)
    g.put("layer_norm_relu.basic", dweight=norm.weight.grad, dbias=norm.bias.grad)
    g.put("layer_norm.constants", eps=1e-5)

    for name, module in (("gelu", nn.GELU()), ("silu", nn.SiLU()), ("relu", nn.ReLU()), ("mish", nn.Mish())):
        g.put_module(f"{name}.basic", module, torch.cat([g.normal(5, 7, scale=2), SPECIAL]))

    table = g.normal(6, 4)
    ids = torch.tensor([3, 2, 0, 3, 5, 2, 3, 1])
    for case, padding in (("no_padding", None), ("padding", 2)):
        embedding = nn.Embedding(6, 4, padding_idx=padding)
        embedding.weight.data = table.clone()
        y = embedding(ids)
        dy = g.normal(8, 4)
        y.backward(dy)
        grad = embedding.weight.grad
        require((grad[2].abs().max() == 0) == (padding == 2), "only the padding row is without gradient")
        g.put(f"embedding.{case}", ids=ids, weight=table, y=y, dy=dy, dweight=grad)
        g.put(f"embedding.{case}", padding_idx=-1 if padding is None else padding)

    for kind, expansion in (("neural", 2), ("plain_neural", 3), ("sequential_linear", 1)):
        module = randomise(g, projector(6, kind, expansion))
        g.put_module(f"projector.{kind}", module, g.normal(5, 6))
        g.put(f"projector.{kind}", expansion=expansion)


class RmsNorm(nn.Module):
    """x / sqrt(mean(x^2) + eps) * weight, eps 1e-5."""

    def __init__(self, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / (x.pow(2).mean(dim=-1, keepdim=True) + 1e-5).sqrt() * self.weight


def further_modules(g: Goldens) -> None:
    rows = g.normal(5, 7)
    rows[1] = 0.0  # only eps
    rows[2] *= 1e-3  # a mean square below eps
    rows[3] = 1000 + 1e-3 * rows[3]
    g.put_module("rms_norm.basic", randomise(g, RmsNorm(7)), rows)
    norm = randomise(g, RmsNorm(10))
    x = g.normal(5, 10).requires_grad_()
    y = norm(x).relu()
    dy = g.normal(5, 10)
    y.backward(dy)
    require(0.2 < (y == 0).double().mean() < 0.8, "ReLU should cut some values and keep some")
    g.put("rms_norm_relu.basic", x=x, y=y, dy=dy, dx=x.grad, weight=norm.weight, dweight=norm.weight.grad)

    for kind, expansion in (("residual", 2), ("plain_residual", 3)):
        module = randomise(g, projector(6, kind, expansion))
        g.put_module(f"projector.{kind}", module, g.normal(5, 6))
        g.put(f"projector.{kind}", expansion=expansion)
    normed = nn.Sequential(nn.Linear(6, 12), RmsNorm(12), nn.Mish(), nn.Linear(12, 6))
    g.put_module("projector.rms_mish", randomise(g, normed), g.normal(5, 6))
    g.put("projector.rms_mish", expansion=2)
    momentum = dict(lr=0.05, momentum=0.9, weight_decay=0.1, nesterov=True)
    optimize(g, "sgd.nesterov_l2", torch.optim.SGD, momentum)


def published_projectors(g: Goldens) -> None:
    g.put_module("layer_norm.no_bias", randomise(g, nn.LayerNorm(7, bias=False)), g.normal(5, 7))
    widths = {"low_rank": 0.5, "deep_linear": 2, "gated_silu": 1.5, "gated_gelu": 0.5, "nonlinear_query": 0.5,
              "pattention": 2, "identity": 1, "linear_silu": 1, "linear_gelu": 1, "rational": 2,
              "glu_silu": 1}
    for kind, expansion in widths.items():
        module = randomise(g, projector(6, kind, expansion))
        for name, parameter in module.named_parameters():
            if name.endswith(("tokens", "numerator", "denominator")):
                parameter.data = g.normal(*parameter.shape)
        g.put_module(f"projector.{kind}", module, g.normal(5, 6))
        g.put(f"projector.{kind}", expansion=float(expansion))


def attend(q, k, v, q_offsets, k_offsets, heads: int, scale: float, causal: bool) -> torch.Tensor:
    """Packed attention [tokens, heads * d_head], one sequence and one head after the other."""
    out = []
    for (qa, qb), (ka, kb) in zip(zip(q_offsets, q_offsets[1:]), zip(k_offsets, k_offsets[1:])):
        columns = []
        for q_head, k_head, v_head in zip(*(t.chunk(heads, dim=1) for t in (q[qa:qb], k[ka:kb], v[ka:kb]))):
            scores = scale * q_head @ k_head.T
            if causal:
                scores = scores.masked_fill(torch.ones_like(scores).triu(1).bool(), -torch.inf)
            columns.append(scores.softmax(dim=-1) @ v_head)
        out.append(torch.cat(columns, dim=1))
    return torch.cat(out)


ATTENTION_CASES = {
    "self": ([4, 1, 7, 2], None, False),
    "causal": ([4, 1, 7, 2], None, True),
    "cross": ([3, 5, 1, 2], [6, 1, 4, 1], False),
}


def offsets(lengths) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def attention(g: Goldens) -> None:
    heads, d_head = 3, 4
    scale = d_head**-0.5
    width = heads * d_head
    for case, (q_lengths, k_lengths, causal) in ATTENTION_CASES.items():
        q_offsets, k_offsets = offsets(q_lengths), offsets(k_lengths or q_lengths)
        common = dict(q_offsets=q_offsets, k_offsets=k_offsets, heads=heads, scale=scale, causal=int(causal))

        # The core alone: scores, softmax and the weighted sum.
        q = g.normal(q_offsets[-1], width, scale=1.5).requires_grad_()
        k = g.normal(k_offsets[-1], width, scale=1.5).requires_grad_()
        v = g.normal(k_offsets[-1], width).requires_grad_()
        y = attend(q, k, v, q_offsets, k_offsets, heads, scale, causal)
        dy = g.normal(*y.shape)
        y.backward(dy)
        if not causal:  # torch's own fused form agrees on the first sequence
            n, m = q_offsets[1], k_offsets[1]
            q_, k_, v_ = (t[:c].view(c, heads, d_head).transpose(0, 1) for t, c in ((q, n), (k, m), (v, m)))
            own = F.scaled_dot_product_attention(q_, k_, v_).transpose(0, 1).reshape(n, width)
            require((own - y[:n]).abs().max() < 1e-13, "torch's attention disagrees")
        g.put(f"attention.{case}", q=q, k=k, v=v, y=y, dy=dy, dq=q.grad, dk=k.grad, dv=v.grad, **common)

        # With linear projections; cross attention reads keys and values from `memory`.
        names = ("q_proj", "k_proj", "v_proj", "out_proj")
        maps = nn.ModuleDict({name: randomise(g, nn.Linear(width, width)) for name in names})
        x = g.normal(q_offsets[-1], width).requires_grad_()
        memory = x if k_lengths is None else g.normal(k_offsets[-1], width).requires_grad_()
        inner = attend(
            maps["q_proj"](x), maps["k_proj"](memory), maps["v_proj"](memory), q_offsets, k_offsets, heads, scale, causal
        )
        y = maps["out_proj"](inner)
        dy = g.normal(*y.shape)
        y.backward(dy)
        prefix = f"multi_head.{case}"
        g.put(prefix, x=x, y=y, dy=dy, dx=x.grad, **common)
        if memory is not x:
            g.put(prefix, memory=memory, dmemory=memory.grad)
        for name, parameter in maps.named_parameters():
            vanishes = parameter.grad.abs().max() < 1e-13
            require(vanishes == (name == "k_proj.bias"), f"{prefix}: gradient of {name}")
            g.put(prefix, **{name: parameter, f"d{name}": parameter.grad})


class OptionAttention(nn.Module):
    """Multi-head attention with options, one sequence and one head after the other."""

    def __init__(self, width: int, heads: int, kinds, scale=None, learned=None, soft_cap=None, norm=None, gate=None,
                 value_width=None):
        super().__init__()
        self.heads, self.soft_cap, self.norm, values = heads, soft_cap, norm, value_width or width
        shapes = (width, width), (width, width), (width, values), (values, width)
        for name, kind, (wide, out) in zip(("q_proj", "k_proj", "v_proj", "out_proj"), kinds, shapes):
            matched = {"hidden_width": "match"} if kind.startswith("gated") else {}
            setattr(self, name, projector(wide, kind, out=out, **matched))
        if norm == "rms":
            self.q_norm, self.k_norm = nn.RMSNorm(width // heads, eps=1e-6), nn.RMSNorm(width // heads, eps=1e-6)
        self.fixed = scale or (width // heads) ** -0.5
        if learned or norm == "l2":
            self.scale = nn.Parameter(torch.zeros(heads if learned == "per_head" else 1))
        if gate:
            self.gate_proj = nn.Linear(width, heads if gate == "per_head" else values, bias=False)

    def normed(self, rows: torch.Tensor, of: str) -> torch.Tensor:
        if self.norm == "l2":
            return F.normalize(rows, dim=-1)
        return getattr(self, of)(rows) if self.norm == "rms" else rows

    def forward(self, x, memory, q_offsets, k_offsets, causal: bool) -> torch.Tensor:
        q, k, v = self.q_proj(x), self.k_proj(memory), self.v_proj(memory)
        out = []
        for (qa, qb), (ka, kb) in zip(zip(q_offsets, q_offsets[1:]), zip(k_offsets, k_offsets[1:])):
            columns = []
            for head, (q_head, k_head, v_head) in enumerate(
                zip(*(t.chunk(self.heads, dim=1) for t in (q[qa:qb], k[ka:kb], v[ka:kb])))
            ):
                scale = self.scale[head % len(self.scale)] if hasattr(self, "scale") else self.fixed
                scores = scale * (self.normed(q_head, "q_norm") @ self.normed(k_head, "k_norm").T)
                if self.soft_cap:
                    scores = self.soft_cap * torch.tanh(scores / self.soft_cap)
                if causal:
                    scores = scores.masked_fill(torch.ones_like(scores).triu(1).bool(), -torch.inf)
                columns.append(scores.softmax(dim=-1) @ v_head)
            out.append(torch.cat(columns, dim=1))
        heads = torch.cat(out)
        if hasattr(self, "gate_proj"):
            gates = torch.sigmoid(self.gate_proj(x))
            heads = heads * gates.repeat_interleave(heads.shape[1] // gates.shape[1], dim=1)
        return self.out_proj(heads)


# As tests/attention/attention_option_cases.hpp has them.
OPTION_CASES = {
    "scale": dict(scale=0.7),
    "shared_scale": dict(learned="shared"),
    "scale_per_head": dict(scale=0.5, learned="per_head"),
    "soft_cap": dict(scale=2.0, soft_cap=1.5),
    "l2": dict(norm="l2"),
    "l2_per_head": dict(norm="l2", learned="per_head"),
    "rms": dict(norm="rms"),
    "gate_per_head": dict(gate="per_head"),
    "gate_per_element": dict(gate="per_element"),
    "all": dict(learned="per_head", soft_cap=2.0, norm="rms", gate="per_element"),
}
# As tests/attention/test_value_width.cpp has them.
WIDTH_CASES = {
    "narrow": dict(value_width=4),
    "wide": dict(value_width=10, norm="rms", gate="per_element"),
    "narrow_heads": dict(value_width=2, norm="l2", gate="per_head"),
}
WIDTH_PROJECTORS = {
    "self": ("linear", "linear", "glu_silu", "linear"),
    "causal": ("plain_neural", "linear", "neural", "plain_neural"),
    "cross": ("linear", "gated_silu", "gated_silu", "glu_silu"),
}
OPTION_PROJECTORS = {
    "self": ("linear", "linear", "linear", "linear"),
    "causal": ("neural", "neural", "linear", "neural"),
    "cross": ("plain_neural", "plain_neural", "plain_neural", "linear"),
}


def by_documented_code(module: OptionAttention, x, memory, causal: bool, how: dict) -> torch.Tensor:
    """One sequence as docs/interchange.md computes it for Hugging Face."""
    keys = {"scale": "attention_scale", "learned": "attention_learned_scale", "soft_cap": "attention_soft_cap",
            "norm": "qk_norm", "gate": "attention_gate", "value_width": "attention_value_width"}
    module.options = {keys[name]: value for name, value in how.items()}
    module.input = x[None]
    width = x.shape[1] // module.heads
    q, k, v = (
        rows[None].view(1, len(rows), module.heads, -1).transpose(1, 2)
        for rows in (module.q_proj(x), module.k_proj(memory), module.v_proj(memory))
    )
    mask = torch.full((len(x), len(x)), -torch.inf).triu(1) if causal else None
    heads, _ = attention_with_options(module, q, k, v, mask, width**-0.5)
    return module.out_proj(heads.reshape(len(x), -1))


def attention_options(g: Goldens, cases: dict, projectors: dict) -> None:
    heads, width = 2, 6
    lengths = {"self": ([3, 1, 4], None), "causal": ([3, 1, 4], None), "cross": ([2, 4, 1], [5, 1, 3])}
    for option, how in cases.items():
        for case, (q_lengths, k_lengths) in lengths.items():
            q_offsets, k_offsets = offsets(q_lengths), offsets(k_lengths or q_lengths)
            module = randomise(g, OptionAttention(width, heads, projectors[case], **how))
            if hasattr(module, "scale"):
                module.scale.data = 2 + g.normal(*module.scale.shape, scale=0.5)
            x = g.normal(q_offsets[-1], width).requires_grad_()
            memory = x if k_lengths is None else g.normal(k_offsets[-1], width).requires_grad_()
            y = module(x, memory, q_offsets, k_offsets, case == "causal")
            documented = by_documented_code(module, x[: q_offsets[1]], memory[: k_offsets[1]], case == "causal", how)
            require((documented - y[: q_offsets[1]]).abs().max() < 1e-13, f"{option}: the documented code disagrees")
            dy = g.normal(*y.shape)
            y.backward(dy)
            prefix = f"{option}.{case}"
            g.put(prefix, x=x, y=y, dy=dy, dx=x.grad, q_offsets=q_offsets, k_offsets=k_offsets, heads=heads)
            if memory is not x:
                g.put(prefix, memory=memory, dmemory=memory.grad)
            for name, parameter in module.named_parameters():
                vanishes = parameter.grad.abs().max() < 1e-13
                shifts_keys = name.startswith("k_proj") and name.endswith("bias") and parameter.shape == (width,)
                plain = "norm" not in how and "soft_cap" not in how
                require(vanishes == (shifts_keys and plain), f"{prefix}: gradient of {name}")
                g.put(prefix, **{name: parameter, f"d{name}": parameter.grad})


def cross_entropy(g: Goldens) -> None:
    """Mean over the non-ignored rows; smoothing as HF and torch: (1-eps)*NLL + eps*mean over classes of -log p."""
    rows, classes = 6, 11
    for case, smoothing, ignored, scale in (
        ("plain", 0.0, (), 1.0),
        ("smoothed", 0.1, (), 1.0),
        ("ignored", 0.0, (0, 4), 1.0),
        ("smoothed_ignored", 0.1, (0, 4), 1.0),
        ("extreme", 0.0, (), 400.0),
        ("extreme_smoothed", 0.1, (), 400.0),
    ):
        logits = g.normal(rows, classes, scale=2 * scale).requires_grad_()
        targets = torch.from_numpy(g.generator.integers(0, classes, size=rows))
        targets[list(ignored)] = -100
        loss = F.cross_entropy(logits, targets, ignore_index=-100, label_smoothing=smoothing)
        loss.backward()
        kept = targets != -100
        log_p = logits[kept].log_softmax(dim=-1)
        nll = -log_p.gather(1, targets[kept, None]).squeeze(1)
        formula = ((1 - smoothing) * nll - smoothing * log_p.mean(dim=-1)).mean()
        require(abs(formula - loss) < 1e-12 * loss.abs(), "the formula disagrees with torch")
        require((logits.grad[~kept] == 0).all(), "an ignored row has a gradient")
        g.put(f"cross_entropy.{case}", logits=logits, targets=targets, loss=loss, dlogits=logits.grad)
        g.put(f"cross_entropy.{case}", smoothing=smoothing, ignore_index=-100)


def positions(g: Goldens) -> None:
    for case, length, width in (("even", 24, 12), ("odd", 9, 7)):
        table = variants.sinusoidal_table(length, width)
        stock = MarianSinusoidalPositionalEmbedding(length, width).create_weight().numpy().astype(np.float32)
        require(np.array_equal(table.astype(np.float32), stock), "the table differs from HF's")
        g.put(f"positions.{case}", table=table, table_float32=stock)


def optimizers(g: Goldens) -> None:
    """Parameters after each of five steps with given gradients."""
    cases = {
        "adamw.decay": (torch.optim.AdamW, dict(lr=0.01, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.1)),
        "adamw.no_decay": (torch.optim.AdamW, dict(lr=0.003, betas=(0.8, 0.98), eps=1e-6, weight_decay=0.0)),
        "adam.basic": (torch.optim.Adam, dict(lr=0.01, betas=(0.9, 0.98), eps=1e-9, weight_decay=0.0)),
        "adam.l2": (torch.optim.Adam, dict(lr=0.01, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.1)),
        "sgd.plain": (torch.optim.SGD, dict(lr=0.05, momentum=0.0, weight_decay=0.0)),
        "sgd.momentum": (torch.optim.SGD, dict(lr=0.05, momentum=0.9, weight_decay=0.0)),
        "sgd.momentum_l2": (torch.optim.SGD, dict(lr=0.05, momentum=0.9, weight_decay=0.1)),
    }
    for case, (kind, settings) in cases.items():
        optimize(g, case, kind, settings)


class Lion(torch.optim.Optimizer):
    """The published formula (Chen et al. 2023, algorithm 2): the weights decay first, the momentum is renewed last."""

    def __init__(self, parameters, lr: float, betas: tuple, weight_decay: float, foreach: bool = False):
        super().__init__(parameters, dict(lr=lr, betas=betas, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            rate, (beta1, beta2) = group["lr"], group["betas"]
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                p.mul_(1 - rate * group["weight_decay"])
                p.sub_(rate * torch.sign(beta1 * m + (1 - beta1) * p.grad))
                m.copy_(beta2 * m + (1 - beta2) * p.grad)


# Where an optimizer keeps its moments, and what the library calls them.
MOMENTS = {
    torch.optim.Adam: {"exp_avg": "first_moment", "exp_avg_sq": "second_moment"},
    torch.optim.AdamW: {"exp_avg": "first_moment", "exp_avg_sq": "second_moment"},
    torch.optim.SGD: {"momentum_buffer": "velocity"},
    Lion: {"m": "momentum"},
}
# The library's flags for PyTorch's settings.
SETTINGS = {"lr": ("learning_rate",), "betas": ("adam_beta1", "adam_beta2"), "eps": ("adam_epsilon",)}


def optimize(g: Goldens, case: str, kind: type, settings: dict) -> None:
    parameter = nn.Parameter(g.normal(7))
    initial = parameter.detach().clone()
    grads = g.normal(5, 7)
    grads[:, 3] *= 1e-9  # where eps matters
    grads[2, 4] = 0.0
    optimizer = kind([parameter], foreach=False, **settings)
    steps = []
    for grad in grads:
        parameter.grad = grad.clone()
        optimizer.step()
        steps.append(parameter.detach().clone())
    g.put(case, initial=initial, grads=grads, values=torch.stack(steps))
    state = optimizer.state[parameter]
    for theirs, ours in MOMENTS[kind].items():
        if state.get(theirs) is not None:
            g.put(case, **{ours: state[theirs]})
    if kind is torch.optim.SGD:
        settings = {"nesterov": False, **settings}
    flags = SETTINGS | ({"betas": ("lion_beta1", "lion_beta2")} if kind is Lion else {})
    for theirs, value in settings.items():
        for ours, number in zip(flags.get(theirs, (theirs,)), np.atleast_1d(value)):
            g.put(case, **{ours: float(number)})


def clipping(g: Goldens) -> None:
    for case, limit in (("clips", 1.0), ("below", 100.0)):
        a, b = nn.Parameter(g.normal(3, 4)), nn.Parameter(g.normal(5))
        a.grad, b.grad = g.normal(3, 4), g.normal(5)
        g.put(f"clip_norm.{case}", a=a.grad, b=b.grad, max_norm=limit)
        norm = nn.utils.clip_grad_norm_([a, b], limit)
        require((norm > limit) == (case == "clips"), "the case does not do what its name says")
        g.put(f"clip_norm.{case}", norm=norm, a_clipped=a.grad, b_clipped=b.grad)


def schedules() -> list:
    """Learning-rate factors at steps 0 .. count-1 as HF's get_scheduler gives them."""
    found = []
    for name, hf_name, warmup, total, count, *min_lr_rate in (
        ("constant", "constant", 0, None, 6),
        ("constant", "constant_with_warmup", 4, None, 9),
        ("linear", "linear", 0, 10, 13),
        ("linear", "linear", 3, 11, 14),
        ("cosine", "cosine", 0, 10, 10),
        ("cosine", "cosine", 3, 11, 12),
        ("cosine_with_min_lr", "cosine_with_min_lr", 0, 10, 10, 0.1),
        ("cosine_with_min_lr", "cosine_with_min_lr", 3, 11, 12, 0.25),
        ("inverse_sqrt", "inverse_sqrt", 4, None, 20),
        ("inverse_sqrt", "inverse_sqrt", 1, None, 9),
    ):
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
        more = {"min_lr_rate": min_lr_rate[0]} if min_lr_rate else {}
        schedule = get_scheduler(hf_name, optimizer, num_warmup_steps=warmup, num_training_steps=total,
                                 scheduler_specific_kwargs=more)
        factors = []
        for _ in range(count):
            factors.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        require(all(np.isfinite(factors)) and max(factors) == 1.0, f"{hf_name} is odd: {factors}")
        found.append({"name": name, "hf_name": hf_name, "warmup_steps": warmup, "total_steps": total, **more,
                      "factors": factors})
    return found


def sampling() -> list:
    """What is left of the probabilities of one row of logits where generate draws: its own processors, one after
    another."""
    generator = np.random.default_rng(20242)
    model = variants.build(variants.PRESETS[0])
    found = []
    for temperature, top_k, top_p, min_p in (
        (1.0, 0, 1.0, 0.1), (0.7, 0, 1.0, 0.3), (2.0, 9, 1.0, 0.5), (1.0, 0, 0.8, 0.02), (1.5, 6, 0.9, 0.25),
        (1.0, 0, 1.0, 1.0), (1.3, 7, 0.7, None), (1.0, 0, 1.0, 1e-6),
    ):
        how = GenerationConfig(do_sample=True, temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
        logits = torch.from_numpy(2 * generator.standard_normal((1, 16)))
        processors = model._get_logits_processor(generation_config=how, input_ids_seq_length=1)
        scores = processors(torch.zeros((1, 1), dtype=torch.int64), logits)
        probabilities = scores.softmax(dim=-1)[0]
        require(probabilities.dtype == torch.float64, "the probabilities are rounded")
        require((probabilities == 0).any() == (min_p != 1e-6) and (probabilities > 0).any(), "nothing is ruled out, or all")
        found.append({"temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p or 0.0,
                      "logits": logits[0].tolist(), "probabilities": probabilities.tolist()})
    return found


def key_list(tensors: dict, file: str) -> str:
    lines = [
        f"# Keys of {file}",
        "",
        "Written by tests/reference/module_goldens.py. `d<name>` is the gradient of `<name>` for the upstream gradient",
        "`dy` (for cross_entropy: of the loss). Scalars have shape [1]. Offsets are token offsets of packed sequences.",
        "`values` holds an optimizer's parameters after each step, one row per step.",
        "",
    ]
    groups = {}
    for key, tensor in sorted(tensors.items()):
        module, case, name = key.split(".", 2)
        groups.setdefault(f"{module}.{case}", []).append((name, tensor))
    kinds = {"float64": "F64", "float32": "F32", "int64": "I64"}
    for group, members in groups.items():
        lines.append(f"- `{group}`: " + ", ".join(
            f"`{name}` {list(tensor.shape)}" + ("" if tensor.dtype == np.float64 else f" {kinds[tensor.dtype.name]}")
            for name, tensor in members
        ))
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path(__file__).resolve().parent.parent / "golden" / "modules")
    folder = parser.parse_args().output
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    torch.use_deterministic_algorithms(True)
    goldens = Goldens(20240, {})
    for part in (simple_modules, attention, cross_entropy, positions, optimizers, clipping):
        part(goldens)
    further_modules(Goldens(20241, goldens.tensors))
    lion = Goldens(20242, goldens.tensors)
    optimize(lion, "lion.decay", Lion, dict(lr=0.01, betas=(0.9, 0.99), weight_decay=0.1))
    optimize(lion, "lion.no_decay", Lion, dict(lr=0.003, betas=(0.95, 0.98), weight_decay=0.0))
    published_projectors(Goldens(20243, goldens.tensors))
    tanh = Goldens(20245, goldens.tensors)
    tanh.put_module("gelu_tanh.basic", nn.GELU(approximate="tanh"), torch.cat([tanh.normal(5, 7, scale=2), SPECIAL]))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "modules.safetensors"
    save_file(goldens.tensors, str(path))
    path.chmod(0o644)
    (folder / "schedules.json").write_text(json.dumps(schedules(), indent=1) + "\n")
    (folder / "sampling.json").write_text("[\n" + ",\n".join(json.dumps(one) for one in sampling()) + "]\n")
    (folder / "README.md").write_text(key_list(goldens.tensors, path.name))
    require(path.stat().st_size < 400_000, "the goldens are too large")
    for seed, name, cases, projectors in ((20244, "attention_options", OPTION_CASES, OPTION_PROJECTORS),
                                          (20245, "value_widths", WIDTH_CASES, WIDTH_PROJECTORS)):
        options = Goldens(seed, {})
        attention_options(options, cases, projectors)
        options_path = folder / f"{name}.safetensors"
        save_file(options.tensors, str(options_path))
        options_path.chmod(0o644)
        (folder / f"{name}.md").write_text(key_list(options.tensors, options_path.name))
        require(options_path.stat().st_size < 400_000, "the goldens are too large")
    print(f"{len(goldens.tensors)} tensors, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
