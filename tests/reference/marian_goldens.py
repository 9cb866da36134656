"""Writes tests/golden/marian/<preset>.safetensors and .json: tiny float64 Marian models with everything they compute.

Usage: python marian_goldens.py [--output DIR] [--random COUNT [--seed SEED]]
The default folder is ../golden/marian beside this file. With --random, models of sizes and projections drawn from SEED
(default: NEURAL_ATTENTION_PARITY_SEED in the environment, else drawn itself; it is printed) are written instead of the
presets, as random_<number>.
The files are byte-identical from run to run. README.md in this folder lists the keys.
"""

import warnings
from pathlib import Path

import numpy as np
import torch

import marian_variants as variants
import model_goldens
from marian_generation import generations
from model_goldens import attention_mask, keep_output, offsets, pack, pad_rows, require
from model_variants import all_linear


def random_sentences(generator, lengths, subject):
    """Ordinary ids with the end-of-sentence id last; a length of 1 is the end-of-sentence id alone."""
    ordinary = [id for id in range(subject.vocabulary) if id not in (subject.pad_id, subject.eos)]
    return [np.append(generator.choice(ordinary, size=length - 1), subject.eos).astype(np.int64) for length in lengths]


class Batch:
    """Pairs of sentences; see model_goldens.py."""

    def __init__(self, sources, targets):
        self.sources, self.targets = sources, targets

    def inputs(self) -> dict:
        return {
            "input.source_ids": np.concatenate(self.sources),
            "input.source_offsets": offsets(self.sources),
            "input.target_ids": np.concatenate(self.targets),
            "input.target_offsets": offsets(self.targets),
        }

    def alone(self) -> list:
        return [Batch([source], [target]) for source, target in zip(self.sources, self.targets)]

    def forward(self, model):
        labels = pad_rows(self.targets, -100)
        ids = pad_rows(self.sources, model.config.pad_token_id)
        mask = attention_mask(self.sources)
        self.last_layers = {}
        with (keep_output(model.model.encoder.layers[-1], self.last_layers, "encoder"),
              keep_output(model.model.decoder.layers[-1], self.last_layers, "decoder")):
            return model(
                input_ids=ids, attention_mask=mask, labels=labels, output_hidden_states=True, return_dict=True
            ), labels

    def packed(self, result) -> dict:
        lengths = {"encoder": [len(source) for source in self.sources], "decoder": [len(one) for one in self.targets]}
        tensors = {"output.logits": pack(result.logits, lengths["decoder"])}
        for side, states in (("encoder", result.encoder_hidden_states), ("decoder", result.decoder_hidden_states)):
            tensors[f"output.{side}_embedding"] = pack(states[0], lengths[side])
            # The last of Hugging Face's states is that behind the final LayerNorm, where there is one.
            for layer, state in enumerate((*states[1:-1], self.last_layers[side])):
                tensors[f"output.{side}_layer.{layer}"] = pack(state, lengths[side])
            tensors[f"output.{side}"] = pack(states[-1], lengths[side])
        require(states[0].shape[1] == max(lengths["decoder"]), "decoder inputs have another length than the labels")
        return tensors

    def check_padding(self, model, result, loss: torch.Tensor, found: dict) -> None:
        """The start token is looked up as padding."""
        d_logits, = torch.autograd.grad(loss, [result.logits], retain_graph=True)
        model_goldens.check_padding_row(found["model.shared.weight"], model.config.pad_token_id,
                                        model.config.eos_token_id, d_logits, result.decoder_hidden_states[-1])


def make(subject: variants.Subject, folder: Path) -> int:
    torch.manual_seed(0)
    model = variants.build(subject)
    config = model.config
    if all_linear(subject.projectors) and not subject.options:
        stock = subject.stock()
        require(list(stock.state_dict()) == list(model.state_dict()), "the linear preset is not the stock model")
        require(str(stock) == str(model), "the linear preset's modules are not the stock model's")

    generator = np.random.default_rng(subject.seed + 77)
    sources = random_sentences(generator, subject.source_lengths, subject)
    batch = Batch(sources, random_sentences(generator, subject.target_lengths, subject))

    def starts_with_padding(outputs: dict) -> None:
        factor = np.sqrt(config.d_model) if config.scale_embedding else 1.0
        start = factor * model.state_dict()["model.shared.weight"].numpy()[subject.pad_id]
        start = start + variants.sinusoidal_table(1, config.d_model)[0]
        for offset in offsets(batch.targets)[:-1]:
            off = np.abs(outputs["output.decoder_embedding"][offset] - start).max()
            require(off < 1e-14, "start token is not pad at 0")

    searches = generations(model, subject, sources)
    written = model_goldens.write(
        model, subject, batch, folder, buffers=["final_logits_bias"], outputs_hold=starts_with_padding,
        layer_norm_eps=1e-5,
        facts={
            "position_ids_start_at": 0,
            "position_table": "HF's formula in float64 (HF itself rounds the table to float32)",
            "decoder_input": "labels shifted right, pad first",
            "pad_row_of_embedding": "not zero here; looked up as it is for the start token",
            "pad_row_gradient": "from the tied output layer only (padding_idx)",
            "results": "ids without start and end tokens; max_length counts both",
        },
        generations=searches,
    )
    print(f"    greedy lengths {[len(results[0]['ids']) for results in searches[0]['results']]}")
    return written


if __name__ == "__main__":
    warnings.filterwarnings("ignore", message="Using the model-agnostic default `max_length`")  # 20 is meant
    model_goldens.run(__doc__, "marian", variants, make, limit=3_900_000)
