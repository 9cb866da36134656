"""What the two scripts that run Hugging Face share: which class a model directory needs, and padded batches."""

import json
import sys
from pathlib import Path

import torch
from transformers import AutoConfig, GPT2LMHeadModel, MarianMTModel, RobertaForMaskedLM
from transformers.models.marian.modeling_marian import MarianSinusoidalPositionalEmbedding
from transformers.utils import logging

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "reference"))

from neural_projections import NeuralMarianMTModel, NeuralRobertaForMaskedLM  # noqa: E402

logging.set_verbosity_error()
logging.disable_progress_bar()

CLASSES = {("marian", False): MarianMTModel, ("marian", True): NeuralMarianMTModel,
           ("roberta", False): RobertaForMaskedLM, ("roberta", True): NeuralRobertaForMaskedLM,
           ("gpt2", False): GPT2LMHeadModel}


def load(directory: Path, attention: str, no_dropout: bool = False):
    config = AutoConfig.from_pretrained(directory)
    if no_dropout:
        for name in [name for name in config.to_dict() if "dropout" in name or name.endswith("_pdrop")]:
            setattr(config, name, 0.0)
    kind = CLASSES[config.model_type, hasattr(config, "neural_attention")]
    model = kind.from_pretrained(directory, config=config, attn_implementation=attention, dtype=torch.float32)
    for module in model.modules():
        if isinstance(module, MarianSinusoidalPositionalEmbedding):
            module.weight.requires_grad_(False)  # constants, which from_pretrained of 5.24 would train
    return model


def read_batches(path: Path) -> list:
    return json.loads(path.read_text())


def padded(sequences: list, filler: int) -> torch.Tensor:
    """To the longest, as Hugging Face's collators pad."""
    return torch.nn.utils.rnn.pad_sequence([torch.tensor(ids) for ids in sequences], batch_first=True,
                                           padding_value=filler)


def with_mask(sequences: list, pad: int) -> dict:
    """No mask where nothing is padded: attention may then take its fastest way."""
    ids = padded(sequences, pad)
    inputs = {"input_ids": ids}
    if len({len(one) for one in sequences}) > 1:
        inputs["attention_mask"] = padded([[1] * len(one) for one in sequences], 0)
    return inputs
