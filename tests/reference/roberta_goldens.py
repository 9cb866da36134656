"""Writes tests/golden/roberta/<preset>.safetensors and .json: tiny float64 RoBERTa models with everything they compute.

Usage: python roberta_goldens.py [--output DIR] [--random COUNT [--seed SEED]]
The options are those of marian_goldens.py, the default folder is ../golden/roberta beside this file.
The files are byte-identical from run to run. README.md in this folder lists the keys.
"""

from pathlib import Path

import numpy as np
import torch

import model_goldens
import roberta_variants as variants
from model_goldens import attention_mask, keep_output, offsets, pack, pad_rows, require
from model_variants import all_linear


class Batch:
    """Sequences as the model sees them, and what stood there before tokens were masked: -100 at those that were not.
    See model_goldens.py."""

    def __init__(self, sequences, labels):
        self.sequences, self.labels = sequences, labels

    def inputs(self) -> dict:
        labels = np.concatenate(self.labels)
        places = np.flatnonzero(labels != -100)
        return {
            "input.ids": np.concatenate(self.sequences),
            "input.offsets": offsets(self.sequences),
            "input.masked_rows": places,
            "input.labels": labels[places],
        }

    def alone(self) -> list:
        return [Batch([ids], [labels]) for ids, labels in zip(self.sequences, self.labels)]

    def forward(self, model):
        labels = pad_rows(self.labels, -100)
        ids = pad_rows(self.sequences, model.config.pad_token_id)
        self.kept = {}
        with (keep_output(model.lm_head.layer_norm, self.kept, "states"),
              keep_output(model.base_model.encoder.layer[-1], self.kept, "last layer")):
            result = model(input_ids=ids, attention_mask=attention_mask(self.sequences), labels=labels,
                           output_hidden_states=True, return_dict=True)
        return result, labels

    def packed(self, result) -> dict:
        lengths = [len(ids) for ids in self.sequences]
        masked = np.concatenate(self.labels) != -100
        states = result.hidden_states
        tensors = {"output.embedding": pack(states[0], lengths)}
        # The last of Hugging Face's states is that behind the final LayerNorm, where there is one.
        for layer, state in enumerate((*states[1:-1], self.kept["last layer"])):
            tensors[f"output.layer.{layer}"] = pack(state, lengths)
        tensors["output.masked_states"] = pack(self.kept["states"], lengths)[masked]
        tensors["output.logits"] = pack(result.logits, lengths)[masked]
        return tensors

    def check_padding(self, model, result, loss: torch.Tensor, found: dict) -> None:
        """Padding inside a sequence is looked up, in both tables, and gives no gradient to either."""
        d_logits, = torch.autograd.grad(loss, [result.logits], retain_graph=True)
        pad = model.config.pad_token_id
        model_goldens.check_padding_row(found[f"{model.base_model_prefix}.embeddings.word_embeddings.weight"], pad,
                                        model.config.bos_token_id, d_logits, self.kept["states"])
        positions = found[f"{model.base_model_prefix}.embeddings.position_embeddings.weight"]
        require(not positions[pad].any(), "the position of padding has a gradient")
        require(np.abs(positions[pad + 1]).max() > 1e-7, "the first position has no gradient")
        require(not positions[:pad].any(), "a row before the first position was looked up")


def random_batch(generator, subject: variants.Subject) -> Batch:
    """<s> … </s>, in the third sequence with padding in the middle, as text never has. Every third ordinary token is
    predicted, none of the second sequence: by turns it is the mask token (the last id), a random one or itself."""
    begin, pad, end = subject.special
    mask = subject.vocabulary - 1
    ordinary = [id for id in range(mask) if id not in subject.special]
    sequences, labels = [], []
    turn = 0
    for number, length in enumerate(subject.lengths):
        ids = np.array([begin, *generator.choice(ordinary, size=length - 2), end], dtype=np.int64)
        wanted = np.full_like(ids, -100)
        if number == 2 and length > 4:
            ids[length // 2] = pad
        places = [place for place in range(1, length - 1) if ids[place] != pad]
        if number != 1:
            for place in np.sort(generator.choice(places, size=-(-len(places) // 3), replace=False)) if places else []:
                wanted[place] = ids[place]
                ids[place] = (mask, generator.choice(ordinary), ids[place])[turn % 3]
                turn += 1
        sequences.append(ids)
        labels.append(wanted)
    return Batch(sequences, labels)


def make(subject: variants.Subject, folder: Path) -> int:
    torch.manual_seed(0)
    model = variants.build(subject)
    if all_linear(subject.projectors) and not subject.options:
        stock = subject.stock()
        require(list(stock.state_dict()) == list(model.state_dict()), "the linear preset is not the stock model")
        require(str(stock) == str(model), "the linear preset's modules are not the stock model's")
    batch = random_batch(np.random.default_rng(subject.seed + 77), subject)
    if subject.chosen:
        padding = [number for number, ids in enumerate(batch.sequences) if subject.pad_id in ids]
        silent = [number for number, labels in enumerate(batch.labels) if (labels == -100).all()]
        require(padding == [2] and silent == [1], "the batch should have padding and a sequence without masked tokens")
    return model_goldens.write(
        model, subject, batch, folder,
        facts={
            "position_ids": "pad + 1, pad + 2, … over the tokens other than padding; padding has position pad",
            "pad_row_of_embedding": "not zero here; looked up for padding inside a sequence, which is attended to",
            "pad_row_gradient": "of words from the tied output layer only, of positions zero (padding_idx)",
        },
    )


if __name__ == "__main__":
    model_goldens.run(__doc__, "roberta", variants, make, limit=1_500_000)
