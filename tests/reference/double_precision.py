"""Hugging Face's generate in float64. It rounds a model's logits and its own sums to float32, whatever the model computes
in; reference values need more digits. The code that runs is Hugging Face's: within it the name torch.float32 means
float64.

    with double_generation():
        model.generate(...)
"""

import contextlib

import torch
from transformers.generation import logits_process, utils

MODULES = (utils, logits_process)


class Doubled:
    """The module torch, whose float32 is float64."""

    float = float32 = torch.float64

    def __getattr__(self, name):
        return getattr(torch, name)


@contextlib.contextmanager
def double_generation():
    for module in MODULES:
        if module.torch is not torch:
            raise AssertionError(f"{module.__name__} is changed already")
        module.torch = Doubled()
    try:
        yield
    finally:
        for module in MODULES:
            module.torch = torch
