"""Tiny Hugging Face RoBERTa models whose attention projections are replaced by role; model_variants.py tells which
projections there are.

A Subject is one model to be compared: the sizes, the projections of each role, the lengths of the sequences and seeds.
PRESETS are the committed ones, random_subject() draws others.
"""

from dataclasses import dataclass, field
from typing import Tuple

import numpy as np
from transformers import RobertaConfig, RobertaForMaskedLM, RobertaPreLayerNormConfig, RobertaPreLayerNormForMaskedLM
from transformers.models.roberta.modeling_roberta import RobertaAttention
from transformers.models.roberta_prelayernorm.modeling_roberta_prelayernorm import RobertaPreLayerNormAttention

from model_variants import fill_randomly, random_roles, random_value_residual, replace_projections, roles
from neural_projections import share_values


@dataclass(frozen=True)
class Subject:
    name: str
    projectors: dict
    seed: int  # of the parameters
    width: int
    layers: int
    heads: int
    ffn: int
    vocabulary: int
    lengths: Tuple[int, ...] = (9, 3, 12, 6)
    special: Tuple[int, int, int] = (0, 1, 2)  # begin, padding, end
    activation: str = "gelu"
    norm_eps: float = 1e-5  # of the model's own LayerNorms; those of the projections have 1e-5
    types: int = 1
    normalize_before: bool = False
    options: dict = field(default_factory=dict)  # of the value residual
    chosen: bool = True  # by a person, for what it shows; not drawn

    key_name = "self.key"

    @property
    def attentions(self) -> int:
        return self.layers

    @property
    def pad_id(self) -> int:
        return self.special[1]

    def stock(self):
        """Hugging Face's model, its projections not replaced."""
        config = (RobertaPreLayerNormConfig if self.normalize_before else RobertaConfig)(**self.config_dict())
        return (RobertaPreLayerNormForMaskedLM if self.normalize_before else RobertaForMaskedLM)(config)

    def config_dict(self) -> dict:
        begin, pad, end = self.special
        return dict(
            model_type="roberta-prelayernorm" if self.normalize_before else "roberta",
            vocab_size=self.vocabulary,
            hidden_size=self.width,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            intermediate_size=self.ffn,
            max_position_embeddings=pad + 1 + max(self.lengths) + 2,
            type_vocab_size=self.types,
            hidden_act=self.activation,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            layer_norm_eps=self.norm_eps,
            bos_token_id=begin,
            pad_token_id=pad,
            eos_token_id=end,
            neural_attention={"projectors": self.projectors, **self.options},
        )


# Widths are no powers of two. One model has other special ids, one another activation and epsilon.
PRESETS = [
    Subject("linear", roles("linear", "linear", "linear", "linear"), 11, 12, 3, 3, 20, 37),
    Subject("paper_roberta", roles("plain_neural", "plain_neural", "plain_neural", "linear"), 12, 10, 2, 5, 14, 31),
    Subject("neural", roles(*["neural"] * 4), 13, 9, 2, 3, 16, 29),
    Subject("mixed", roles("linear", "neural", "plain_neural", "residual", expansion=3), 14, 6, 2, 1, 13, 33,
            special=(5, 3, 0), activation="swish", norm_eps=1e-3),
    Subject("plain", roles(*["plain_neural"] * 4), 15, 14, 1, 7, 11, 35),
    Subject("pre_norm", roles("plain_neural", "plain_neural", "plain_neural", "linear"), 16, 10, 2, 2, 15, 30,
            normalize_before=True),
    Subject("value_residual", roles("plain_neural", "plain_neural", "plain_neural", "linear"), 17, 6, 3, 2, 9, 31,
            options={"value_residual": "learned"}),
    Subject("fixed_value_residual", roles("linear", "linear", "linear", "linear"), 18, 8, 3, 4, 11, 28,
            normalize_before=True,
            options={"value_residual": "fixed", "value_residual_own": 1.0, "value_residual_first": 2.0}),
    Subject("glu_attention", roles("linear", "linear", "glu_silu", "linear"), 19, 6, 2, 2, 9, 29,
            options={"attention_value_width": 4}),
]


def random_subject(number: int, generator: np.random.Generator) -> Subject:
    """Sizes, projections, activation, epsilon, special ids and lengths at random."""
    draw = lambda low, high: int(generator.integers(low, high + 1))
    heads = draw(1, 5)
    vocabulary = draw(12, 60)
    special = tuple(int(i) for i in generator.choice(6, size=3, replace=False)) if draw(0, 1) else (0, 1, 2)
    lengths = tuple(draw(2, 14) for _ in range(draw(1, 6)))
    layers = draw(1, 3)
    return Subject(
        name=f"random_{number}",
        projectors=random_roles(draw),
        seed=draw(0, 2**31),
        width=heads * draw(-(-4 // heads), 24 // heads),
        layers=layers,
        heads=heads,
        ffn=draw(3, 40),
        vocabulary=vocabulary,
        lengths=(max(4, lengths[0]),) + lengths[1:],  # somewhere a token is masked
        special=special,
        activation=("gelu", "swish", "relu", "mish")[draw(0, 3)],
        norm_eps=(1e-5, 1e-12, 1e-3)[draw(0, 2)],
        types=draw(1, 2),
        normalize_before=bool(draw(0, 1)),
        options=random_value_residual(draw, layers),
        chosen=False,
    )


def attentions(model: RobertaForMaskedLM) -> list:
    """The projections of each attention, as replace_projections wants them."""
    return [
        {**{role: (attention.self, role) for role in ("query", "key", "value")}, "output": (attention.output, "dense")}
        for attention in model.modules() 
        if isinstance(attention, (RobertaAttention, RobertaPreLayerNormAttention))
    ]


def build(subject: Subject) -> RobertaForMaskedLM:
    """A float64 model in evaluation mode with seeded parameters; its embeddings keep HF's padding_idx."""
    model = subject.stock()
    found = attentions(model)
    if len(found) != subject.attentions:
        raise AssertionError("not every attention was found")
    replace_projections(found, subject.projectors, subject.options)
    share_values([layer.attention.self for layer in model.base_model.encoder.layer], "value", subject.width, subject.options)
    model = model.double()
    model.tie_weights()
    # Hugging Face has put the positions behind the LayerNorm; the committed values are drawn in the former order.
    leading = ("word_embeddings", "position_embeddings")
    fill_randomly(model, subject.seed, order=lambda name: not name.startswith(tuple(
        f"{model.base_model_prefix}.embeddings.{table}." for table in leading)))
    embeddings, head = model.base_model.embeddings, model.lm_head
    if {embeddings.word_embeddings.padding_idx, embeddings.position_embeddings.padding_idx} != {subject.pad_id}:
        raise AssertionError("an embedding lost its padding index")
    if head.decoder.weight is not embeddings.word_embeddings.weight or head.decoder.bias is not head.bias:
        raise AssertionError("the output layer is not tied to the embedding")
    return model.eval()
