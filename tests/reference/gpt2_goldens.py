"""Writes tests/golden/gpt2/<preset>.safetensors and .json: tiny float64 GPT-2 models with everything they compute.

Usage: python gpt2_goldens.py [--output DIR] [--random COUNT [--seed SEED]]
The options are those of marian_goldens.py, the default folder is ../golden/gpt2 beside this file.
The files are byte-identical from run to run. README.md in this folder lists the keys.
"""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from torch import nn

import gpt2_variants as variants
import model_goldens
from gpt2_generation import generations
from model_goldens import attention_mask, keep_output, offsets, pack, pad_rows, require
from model_variants import all_linear


class Batch:
    """Texts, of which every token but the first is predicted. See model_goldens.py."""

    def __init__(self, texts):
        self.texts = texts

    def inputs(self) -> dict:
        return {"input.ids": np.concatenate(self.texts), "input.offsets": offsets(self.texts)}

    def alone(self) -> list:
        return [Batch([text]) for text in self.texts]

    def forward(self, model):
        labels = pad_rows(self.texts, -100)
        self.kept = {}
        with keep_output(model.transformer.h[-1], self.kept, "last layer"):
            result = model(input_ids=pad_rows(self.texts, 0), attention_mask=attention_mask(self.texts), labels=labels,
                           output_hidden_states=True, return_dict=True)
        # The last token of a text predicts nothing; Hugging Face shifts labels itself, and rounds logits to float32.
        logits, labels = result.logits[:, :-1], labels[:, 1:].contiguous()
        loss = nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1), ignore_index=-100)
        require(abs(result.loss.item() - loss.item()) < 1e-6 * loss.item(), "Hugging Face's loss is another one")
        return SimpleNamespace(loss=loss, logits=logits, hidden_states=result.hidden_states), labels

    def packed(self, result) -> dict:
        lengths = [len(text) - 1 for text in self.texts]
        states = result.hidden_states
        tensors = {"output.embedding": pack(states[0], lengths)}
        # The last of Hugging Face's states is that behind the final LayerNorm.
        for layer, state in enumerate((*states[1:-1], self.kept["last layer"])):
            tensors[f"output.layer.{layer}"] = pack(state, lengths)
        tensors["output.states"] = pack(states[-1], lengths)
        tensors["output.logits"] = pack(result.logits, lengths)
        return tensors

    def check_padding(self, model, result, loss: torch.Tensor, found: dict) -> None:
        """No row stands for padding."""
        require(model.transformer.wte.padding_idx is None, "the embedding has a row of padding")
        longest = max(map(len, self.texts))
        require(not found["transformer.wpe.weight"][longest:].any(), "a position that no text has was looked up")


def make(subject: variants.Subject, folder: Path) -> int:
    torch.manual_seed(0)
    model = variants.build(subject)
    if all_linear(subject.projectors) and subject.bias and not subject.options:
        stock = subject.stock()
        require(list(stock.state_dict()) == list(model.state_dict()), "the linear preset is not the stock model")
        require(str(stock).split("(", 1)[1] == str(model).split("(", 1)[1],
                "the linear preset's modules are not the stock model's")
    generator = np.random.default_rng(subject.seed + 77)
    text = lambda length: generator.integers(subject.vocabulary, size=length)
    batch = Batch([text(length) for length in subject.lengths])
    prompts = [text(length) for length in subject.prompts]
    searches = generations(model, subject, prompts)
    written = model_goldens.write(
        model, subject, batch, folder,
        facts={"results": "ids without prompt and end token; max_length counts both"},
        prompts=[prompt.tolist() for prompt in prompts],
        generations=searches,
    )
    print(f"    greedy lengths {[len(results[0]['ids']) for results in searches[0]['results']]}")
    return written


if __name__ == "__main__":
    model_goldens.run(__doc__, "gpt2", variants, make, limit=1_100_000)
