"""Writes tests/golden/modules/sequence_projectors.safetensors: float64 values and gradients of projectors that see whole
sequences, alone and in attention, and of query, key and value from one map.

Usage: python sequence_goldens.py [--output DIR]     (default: ../golden/modules beside this file)
"""

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.numpy import save_file
from torch import nn

from module_goldens import ATTENTION_CASES, Goldens, attend, offsets, randomise, require


class Convolved(nn.Module):
    """torch's own grouped convolution behind a map, one sequence after the other. `kernel` [taps, d] looks `ahead` tokens
    ahead in its first row, and one less in each further one; torch's weights [d, 1, taps] begin with the past."""

    def __init__(self, d: int, inner: nn.Module, ahead: int, taps: int = 3):
        super().__init__()
        self.projector, self.kernel, self.ahead = inner, nn.Parameter(torch.zeros(taps, d)), ahead

    def forward(self, x: torch.Tensor, bounds) -> torch.Tensor:
        taps, d = self.kernel.shape
        weight = self.kernel.flip(0).T.unsqueeze(1)
        mapped, parts = self.projector(x), []
        for begin, end in zip(bounds, bounds[1:]):
            rows = F.pad(mapped[begin:end].T.unsqueeze(0), (taps - 1 - self.ahead, self.ahead))
            parts.append(F.conv1d(rows, weight, groups=d).squeeze(0).T)
        return torch.cat(parts)


def neural(d: int) -> nn.Module:
    return nn.Sequential(nn.Linear(d, 2 * d), nn.LayerNorm(2 * d), nn.ReLU(), nn.Linear(2 * d, d))


def convolved(g: Goldens, kind: str, d: int) -> Convolved:
    inner = neural(d) if kind == "conv_neural" else nn.Linear(d, d)
    module = randomise(g, Convolved(d, inner, 1 if kind.startswith("centred") else 0))
    module.kernel.data = g.normal(*module.kernel.shape, scale=0.6)
    return module


def put_gradients(g: Goldens, prefix: str, module: nn.Module, zero: str = "") -> None:
    for name, parameter in module.named_parameters():
        require((parameter.grad.abs().max() < 1e-13) == (name == zero), f"{prefix}: gradient of {name}")
        g.put(prefix, **{name: parameter, f"d{name}": parameter.grad})


def projectors(g: Goldens) -> None:
    bounds = offsets([3, 1, 6, 2])
    for kind in ("conv_linear", "conv_neural", "centred_conv_linear"):
        module = convolved(g, kind, 5)
        x = g.normal(bounds[-1], 5).requires_grad_()
        y = module(x, bounds)
        dy = g.normal(*y.shape)
        y.backward(dy)
        g.put(f"projector.{kind}", x=x, y=y, dy=dy, dx=x.grad, offsets=bounds)
        put_gradients(g, f"projector.{kind}", module)


def attention(g: Goldens) -> None:
    """Convolutions in all four roles; in self-attention some of them see both sides."""
    heads, width = 2, 6
    scale = (width // heads) ** -0.5
    for case, (q_lengths, k_lengths, causal) in ATTENTION_CASES.items():
        q_bounds, k_bounds = offsets(q_lengths), offsets(k_lengths or q_lengths)
        kinds = {"q_proj": "conv_linear", "k_proj": "conv_neural", "v_proj": "conv_linear", "out_proj": "conv_linear"}
        if case == "self":
            kinds = {name: "centred_conv_linear" if name != "v_proj" else "conv_linear" for name in kinds}
        maps = nn.ModuleDict({name: convolved(g, kind, width) for name, kind in kinds.items()})
        x = g.normal(q_bounds[-1], width).requires_grad_()
        memory = x if k_lengths is None else g.normal(k_bounds[-1], width).requires_grad_()
        q, k, v = maps["q_proj"](x, q_bounds), maps["k_proj"](memory, k_bounds), maps["v_proj"](memory, k_bounds)
        y = maps["out_proj"](attend(q, k, v, q_bounds, k_bounds, heads, scale, causal), q_bounds)
        dy = g.normal(*y.shape)
        y.backward(dy)
        prefix = f"attention.{case}"
        g.put(prefix, x=x, y=y, dy=dy, dx=x.grad, q_offsets=q_bounds, k_offsets=k_bounds, heads=heads)
        if memory is not x:
            g.put(prefix, memory=memory, dmemory=memory.grad)
        put_gradients(g, prefix, maps)


class JointMap(nn.Module):
    """What the roles of a JointQkv share: one map to three times the width, and one norm for each third."""

    def __init__(self, d: int):
        super().__init__()
        self.map, self.norm = nn.Linear(d, 3 * d), nn.LayerNorm(d)

    def forward(self, x: torch.Tensor):
        return [F.mish(self.norm(third)) for third in self.map(x).chunk(3, dim=-1)]


def joint_attention(g: Goldens) -> None:
    heads, width = 2, 6
    for case in ("self", "causal"):
        lengths, _, causal = ATTENTION_CASES[case]
        bounds = offsets(lengths)
        maps = nn.ModuleDict({"qkv_proj": JointMap(width)})
        roles = ("q_proj", "k_proj", "v_proj", "out_proj")
        maps.update({name: nn.Linear(width, width, bias=name == "out_proj") for name in roles})
        randomise(g, maps)
        x = g.normal(bounds[-1], width).requires_grad_()
        q, k, v = (maps[name](third) for name, third in zip(("q_proj", "k_proj", "v_proj"), maps["qkv_proj"](x)))
        y = maps["out_proj"](attend(q, k, v, bounds, bounds, heads, (width // heads) ** -0.5, causal))
        dy = g.normal(*y.shape)
        y.backward(dy)
        g.put(f"joint.{case}", x=x, y=y, dy=dy, dx=x.grad, q_offsets=bounds, k_offsets=bounds, heads=heads)
        put_gradients(g, f"joint.{case}", maps)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path(__file__).resolve().parent.parent / "golden" / "modules")
    folder = parser.parse_args().output
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    torch.use_deterministic_algorithms(True)
    goldens = Goldens(20250, {})
    projectors(goldens)
    attention(goldens)
    joint_attention(Goldens(20251, goldens.tensors))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "sequence_projectors.safetensors"
    save_file(goldens.tensors, str(path))
    path.chmod(0o644)
    require(path.stat().st_size < 100_000, "the goldens are too large")
    print(f"{len(goldens.tensors)} tensors, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
