"""Tiny Hugging Face GPT-2 models whose attention projections are replaced by role, as docs/interchange.md shows it;
model_variants.py tells which projections there are.

A Subject is one model to be compared: the sizes, the projections of each role, the lengths of the texts and seeds.
PRESETS are the committed ones, random_subject() draws others.
"""

from dataclasses import dataclass, field
from typing import Optional, Tuple

import numpy as np
from transformers import GPT2Config, GPT2LMHeadModel
from transformers.pytorch_utils import Conv1D

from model_variants import fill_randomly, random_roles, random_value_residual, roles
from neural_projections import NeuralGPT2LMHeadModel


@dataclass(frozen=True)
class Subject:
    name: str
    projectors: dict
    seed: int  # of the parameters
    width: int
    layers: int
    heads: int
    ffn: Optional[int]
    vocabulary: int
    lengths: Tuple[int, ...] = (9, 2, 13, 6)
    prompts: Tuple[int, ...] = (3, 1, 5)  # the lengths of those that are continued
    eos: int = 0
    activation: str = "gelu_new"
    norm_eps: float = 1e-5  # of the model's own LayerNorms; those of the projections have 1e-5
    bias: bool = True
    scale: dict = field(default_factory=dict)  # of the scores, under the names of config.json
    options: dict = field(default_factory=dict)  # of the value residual, and the width of values
    max_length: int = 14  # of generation
    chosen: bool = True  # by a person, for what it shows; not drawn

    key_name = "c_attn.k_proj"

    @property
    def attentions(self) -> int:
        return self.layers

    def stock(self):
        """Hugging Face's model, its projections not replaced."""
        return GPT2LMHeadModel(GPT2Config(**self.config_dict()))

    def config_dict(self) -> dict:
        return dict(
            model_type="gpt2",
            vocab_size=self.vocabulary,
            n_positions=max(*self.lengths, self.max_length) + 2,
            n_embd=self.width,
            n_layer=self.layers,
            n_head=self.heads,
            n_inner=self.ffn,
            activation_function=self.activation,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            layer_norm_epsilon=self.norm_eps,
            bos_token_id=self.eos,
            eos_token_id=self.eos,
            **self.scale,
            neural_attention={"projectors": self.projectors, **({} if self.bias else {"bias": False}), **self.options},
        )

    def library_tensors(self, named: dict) -> dict:
        """Conv1D's matrices are transposed ones of linear maps, those of c_attn side by side."""
        found = {}
        for name, values in named.items():
            owner, _, leaf = name.rpartition(".")
            if not owner.endswith((".c_attn", ".c_fc", ".c_proj")):
                found[name] = values
                continue
            values = values.T if leaf == "weight" else values
            if not owner.endswith(".c_attn"):
                found[name] = np.ascontiguousarray(values)
                continue
            for part, rows in zip(("q_proj", "k_proj", "v_proj"), np.split(values, 3)):
                found[f"{owner}.{part}.{leaf}"] = np.ascontiguousarray(rows)
        return found


# Widths are no powers of two but one. The models differ in what config.json can say besides. With these seeds some
# greedy texts end by themselves, with clear margins.
PRESETS = [
    Subject("linear", roles("linear", "linear", "linear", "linear"), 107, 8, 2, 2, None, 29),
    Subject("nonlinear_query", roles("nonlinear_query", "linear", "linear", "linear", expansion=0.5), 112, 10, 2, 5, 18,
            31, activation="gelu", scale={"scale_attn_by_inverse_layer_idx": True}),
    Subject("gated", roles("gated_silu", "gated_silu", "linear", "gated_silu", expansion=1), 134, 6, 2, 3, 13, 27,
            norm_eps=1e-3, eos=5),
    Subject("plain_neural", roles(*["plain_neural"] * 4), 162, 6, 2, 2, 14, 33, activation="relu",
            scale={"scale_attn_weights": False}),
    Subject("linear_without_bias", roles("linear", "linear", "linear", "linear"), 123, 9, 2, 3, 20, 28,
            activation="gelu", bias=False),
    Subject("plain_neural_without_bias", roles("plain_neural", "neural", "linear", "plain_neural"), 105, 6, 1, 1, 11, 30,
            bias=False),
    Subject("value_residual", roles("linear", "linear", "linear", "linear"), 133, 6, 3, 2, 9, 26, eos=3,
            scale={"scale_attn_weights": False, "scale_attn_by_inverse_layer_idx": True},
            options={"value_residual": "learned"}),
]


def random_subject(number: int, generator: np.random.Generator) -> Subject:
    """Sizes, projections, activation, epsilon, biases, scales and lengths at random. The vocabulary is never so small
    that a beam search must continue beams that HF counts as hopeless (log-probability -1e9)."""
    draw = lambda low, high: int(generator.integers(low, high + 1))
    heads = draw(1, 5)
    vocabulary = draw(20, 60)
    lengths = tuple(draw(2, 14) for _ in range(draw(1, 6)))
    layers = draw(1, 3)
    max_length = draw(8, 20)
    projectors = random_roles(draw)
    columns = draw(-(-4 // heads), 24 // heads)  # of a head
    options = random_value_residual(draw, layers)
    one_width = {"identity", "nonlinear_query"} & {projectors[role]["type"] for role in ("value", "output")}
    if columns > 1 and not one_width and draw(0, 1):
        options["attention_value_width"] = heads * draw(1, columns - 1)
    return Subject(
        name=f"random_{number}",
        projectors=projectors,
        seed=draw(0, 2**31),
        width=heads * columns,
        layers=layers,
        heads=heads,
        ffn=draw(3, 40) if draw(0, 3) else None,
        vocabulary=vocabulary,
        lengths=(max(4, lengths[0]),) + lengths[1:],  # over a single key there is no gradient of the scores
        prompts=tuple(draw(1, max_length - 2) for _ in range(draw(1, 4))),
        eos=draw(0, vocabulary - 1),
        activation=("gelu_new", "gelu", "swish", "relu", "mish")[draw(0, 4)],
        norm_eps=(1e-5, 1e-12, 1e-3)[draw(0, 2)],
        bias=bool(draw(0, 2)),
        scale={"scale_attn_weights": bool(draw(0, 3)), "scale_attn_by_inverse_layer_idx": not draw(0, 3)},
        options=options,
        max_length=max_length,
        chosen=False,
    )


def build(subject: Subject) -> GPT2LMHeadModel:
    """A float64 model in evaluation mode with seeded parameters."""
    model = NeuralGPT2LMHeadModel(GPT2Config(**subject.config_dict())).double()
    model.tie_weights()
    transposed = {f"{name}.weight" for name, module in model.named_modules() if isinstance(module, Conv1D)}

    def own_values(name, noise):
        if name == "transformer.wte.weight":
            return 0.6 * noise
        if name.endswith("mlp.c_proj.weight"):
            # A strong feed-forward branch keeps greedy decoding from repeating its token through the residual.
            return 3.0 / np.sqrt(noise.shape[0]) * noise
        return 1.3 / np.sqrt(noise.shape[0]) * noise if name in transposed else None

    fill_randomly(model, subject.seed, own_values)
    if model.lm_head.weight is not model.transformer.wte.weight:
        raise AssertionError("the output layer is not tied to the embedding")
    return model.eval()
