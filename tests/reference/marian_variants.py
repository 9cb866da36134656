"""Tiny Hugging Face Marian models whose attention projections are replaced by role.

model_variants.py tells which projections there are. The replacement is made in every MarianAttention (encoder self,
decoder self, decoder cross). The scale d_head^-0.5 that MarianAttention applies after q_proj stays as it is.
A pre-norm Marian is Hugging Face's Pegasus: the same names, and a LayerNorm behind each stack.

A Subject is one model to be compared: the sizes, the projections of each role, the lengths of the sentences and seeds.
PRESETS are the committed ones, random_subject() draws others.
"""

import math
from dataclasses import dataclass, field
from typing import Tuple

import numpy as np
import torch
from transformers import MarianConfig, MarianMTModel, PegasusConfig, PegasusForConditionalGeneration
from transformers.models.marian.modeling_marian import MarianAttention, MarianSinusoidalPositionalEmbedding
from transformers.models.pegasus.modeling_pegasus import PegasusAttention, PegasusSinusoidalPositionalEmbedding

from model_variants import changes_scores, fill_randomly, random_roles, random_value_residual, replace_projections, roles
from neural_projections import add_options, share_values

MEMBERS = {"query": "q_proj", "key": "k_proj", "value": "v_proj", "output": "out_proj"}


@dataclass(frozen=True)
class Subject:
    name: str
    projectors: dict
    seed: int  # of the parameters
    d_model: int
    layers: Tuple[int, int]  # encoder, decoder
    heads: Tuple[int, int]
    ffn: Tuple[int, int]
    vocabulary: int
    source_lengths: Tuple[int, ...] = (6, 1, 9, 4)
    target_lengths: Tuple[int, ...] = (5, 7, 2, 1)
    pad: int = -1  # the vocabulary's last id
    eos: int = 0
    activation: str = "swish"
    scale_embedding: bool = True
    max_length: int = 20  # of generation
    end_bias: float = 1.0  # added to the end's logit, else hardly any greedy sentence ends before the limit
    normalize_before: bool = False
    options: dict = field(default_factory=dict)  # of attention
    chosen: bool = True  # by a person, for what it shows; not drawn

    key_name = "k_proj"

    @property
    def pad_id(self) -> int:
        return self.pad % self.vocabulary

    @property
    def attentions(self) -> int:
        return self.layers[0] + 2 * self.layers[1]

    def stock(self):
        """Hugging Face's model, its projections not replaced."""
        config = (PegasusConfig if self.normalize_before else MarianConfig)(**self.config_dict())
        if changes_scores(self.options):
            config._attn_implementation = "with_options"
        return (PegasusForConditionalGeneration if self.normalize_before else MarianMTModel)(config)

    def config_dict(self) -> dict:
        return dict(
            model_type="pegasus" if self.normalize_before else "marian",
            vocab_size=self.vocabulary,
            decoder_vocab_size=self.vocabulary,
            d_model=self.d_model,
            encoder_layers=self.layers[0],
            decoder_layers=self.layers[1],
            encoder_attention_heads=self.heads[0],
            decoder_attention_heads=self.heads[1],
            encoder_ffn_dim=self.ffn[0],
            decoder_ffn_dim=self.ffn[1],
            max_position_embeddings=24,
            activation_function=self.activation,
            scale_embedding=self.scale_embedding,
            dropout=0.0,
            attention_dropout=0.0,
            activation_dropout=0.0,
            encoder_layerdrop=0.0,
            decoder_layerdrop=0.0,
            share_encoder_decoder_embeddings=True,
            tie_word_embeddings=True,
            pad_token_id=self.pad_id,
            decoder_start_token_id=self.pad_id,
            bos_token_id=self.eos,
            eos_token_id=self.eos,
            forced_eos_token_id=self.eos,
            neural_attention={"projectors": self.projectors, **self.options},
        )


# Widths are no powers of two, the two stacks differ. With these seeds some greedy sentences end by themselves and some
# by the forced end, with clear margins.
PRESETS = [
    Subject("linear", roles("linear", "linear", "linear", "linear"), 55, 12, (3, 1), (3, 4), (20, 14), 37),
    Subject("paper_marian", roles("neural", "neural", "linear", "neural"), 44, 12, (1, 2), (3, 2), (14, 20), 31),
    Subject("paper_marian_baseline", roles("sequential_linear", "sequential_linear", "linear", "sequential_linear"),
            17, 6, (1, 3), (3, 2), (11, 7), 29),
    Subject("plain_neural", roles(*["plain_neural"] * 4), 68, 12, (2, 1), (6, 3), (9, 20), 37),
    Subject("mixed", roles("linear", "neural", "plain_neural", "neural", expansion=3), 367, 6, (1, 2), (1, 3), (13, 10),
            33),
    Subject("residual", roles(*["residual"] * 4), 754, 10, (2, 1), (5, 2), (12, 18), 35),
    Subject("pre_norm", roles("neural", "neural", "linear", "neural"), 70, 10, (2, 2), (2, 5), (16, 11), 32,
            max_length=14, normalize_before=True),
    Subject("value_residual", roles("neural", "neural", "linear", "neural"), 565, 10, (3, 3), (2, 5), (9, 7), 30,
            max_length=14, end_bias=3.5, options={"value_residual": "learned"}),
    Subject("glu_attention", roles("linear", "linear", "glu_silu", "linear"), 81, 12, (2, 2), (2, 4), (13, 10), 34,
            options={"value_residual": "learned", "attention_value_width": 8}),
    Subject("options", roles("neural", "linear", "linear", "linear"), 37, 8, (2, 2), (2, 4), (13, 10), 33,
            options={"attention_learned_scale": "per_head", "attention_soft_cap": 2.0, "qk_norm": "rms",
                     "attention_gate": "per_element"}),
]


def random_subject(number: int, generator: np.random.Generator) -> Subject:
    """Sizes, projections, activation, special ids and lengths at random. The vocabulary is never so small that a beam
    search must continue beams that HF counts as hopeless (log-probability -1e9)."""
    draw = lambda low, high: int(generator.integers(low, high + 1))
    heads = (draw(1, 5), draw(1, 5))
    step = math.lcm(*heads)
    width = step * draw(max(1, -(-5 // step)), max(1, 26 // step))
    vocabulary = draw(20, 60)
    special = [int(i) for i in generator.choice(vocabulary, size=2, replace=False)]
    pad, eos = (vocabulary - 1, 0) if draw(0, 1) else special
    sentences = draw(1, 6)
    source = tuple(draw(1, 12) for _ in range(sentences))
    target = tuple(draw(1, 12) for _ in range(sentences))
    layers = (draw(1, 3), draw(1, 3))
    return Subject(
        name=f"random_{number}",
        projectors=random_roles(draw),
        seed=draw(0, 2**31),
        d_model=width,
        layers=layers,
        heads=heads,
        ffn=(draw(3, 40), draw(3, 40)),
        vocabulary=vocabulary,
        source_lengths=(max(3, source[0]),) + source[1:],  # over a single key there is no gradient of the scores
        target_lengths=(max(3, target[0]),) + target[1:],
        pad=pad,
        eos=eos,
        activation=("swish", "gelu", "relu", "mish")[draw(0, 3)],
        scale_embedding=bool(draw(0, 3)),
        max_length=draw(8, 24),
        end_bias=float(generator.uniform(0.0, 4.0)),
        normalize_before=bool(draw(0, 1)),
        options=random_value_residual(draw, max(layers)),
        chosen=False,
    )


def attentions(model: MarianMTModel) -> list:
    """The projections of each attention, as replace_projections wants them."""
    return [{role: (module, name) for role, name in MEMBERS.items()}
            for module in model.modules() if isinstance(module, (MarianAttention, PegasusAttention))]


def sinusoidal_table(positions: int, width: int) -> np.ndarray:
    """HF's table in float64: sines of the even columns' angles first, then the odd columns' cosines."""
    columns = np.arange(width)
    angles = np.arange(positions)[:, None] / np.power(10000.0, 2 * (columns // 2) / width)[None, :]
    return np.concatenate([np.sin(angles[:, 0::2]), np.cos(angles[:, 1::2])], axis=1)


def widen_position_tables(model: MarianMTModel) -> None:
    """Replaces the tables, which HF rounds to float32 even in a float64 model, by the same formula in float64."""
    for module in model.modules():
        if isinstance(module, (MarianSinusoidalPositionalEmbedding, PegasusSinusoidalPositionalEmbedding)):
            table = sinusoidal_table(*module.weight.shape)
            rounded = torch.from_numpy(table.astype(np.float32)).double()
            if not torch.equal(rounded, module.weight.data):
                raise AssertionError("the float64 position table does not round to HF's own")
            module.weight.data.copy_(torch.from_numpy(table))


def fill(model: MarianMTModel, subject: Subject) -> None:
    def own_values(name, noise):
        if name == "model.shared.weight":
            return 0.4 * noise
        if name == "final_logits_bias":
            values = 0.5 * noise
            values[0, subject.eos] += subject.end_bias
            return values
        if name.endswith(".fc2.weight"):
            # A strong feed-forward branch keeps greedy decoding from repeating its input token through the residual.
            return 4.0 / np.sqrt(noise.shape[1]) * noise
        return None

    fill_randomly(model, subject.seed, own_values)


def build(subject: Subject) -> MarianMTModel:
    """A float64 model in evaluation mode with seeded parameters; its tied embedding keeps HF's padding_idx."""
    model = subject.stock()
    config = model.config
    found = attentions(model)
    if len(found) != subject.attentions:
        raise AssertionError("not every attention was found")
    replace_projections(found, subject.projectors, subject.options)
    if changes_scores(subject.options):
        for (attention, _), *_ in (places.values() for places in found):
            add_options(attention, attention.embed_dim, attention.num_heads, subject.options)
    for stack in model.model.encoder, model.model.decoder:
        share_values([layer.self_attn for layer in stack.layers], MEMBERS["value"], config.d_model, subject.options)
    model = model.double()
    model.tie_weights()
    widen_position_tables(model)
    fill(model, subject)
    shared = model.model.shared
    if shared.padding_idx != config.pad_token_id:
        raise AssertionError("the embedding lost its padding index")
    for tokens in (model.model.encoder.embed_tokens, model.model.decoder.embed_tokens):
        if tokens.weight is not shared.weight or tokens.padding_idx != shared.padding_idx:
            raise AssertionError("encoder and decoder do not share the embedding")
    if model.lm_head.weight is not shared.weight:
        raise AssertionError("the output layer is not tied to the embedding")
    return model.eval()
