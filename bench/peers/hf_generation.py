"""Hugging Face's side of the generation rows; ours_generation.cpp is its counterpart.

    python hf_generation.py MODEL BATCHES [--attention eager] [--compile] [--cache static]
"""

import argparse
from pathlib import Path

import torch

from hugging_face import load, read_batches
from serve import serve


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("batches", type=Path)
    parser.add_argument("--attention", default="sdpa", choices=["sdpa", "eager"])
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--cache", default="dynamic", choices=["dynamic", "static"])
    parser.add_argument("--scores", action="store_true", help="to compare them")
    arguments = parser.parse_args()

    model = load(arguments.model, arguments.attention).eval()
    batches = [torch.tensor(batch) for batch in read_batches(arguments.batches)]
    length = batches[0].shape[1]
    if arguments.compile:
        model.forward = torch.compile(model.forward, dynamic=arguments.cache == "dynamic")

    def mean_loss(text: torch.Tensor) -> float:
        return model(input_ids=text[None], labels=text[None]).loss.item()

    @torch.inference_mode()
    def repetition() -> dict:
        outputs, scores = [], []
        for prompts in batches:
            mask = torch.ones_like(prompts)  # nothing is padded; without it, generate looks for padding
            texts = model.generate(prompts, attention_mask=mask, cache_implementation=arguments.cache)
            outputs += texts[:, length:].tolist()
            scores += list(map(mean_loss, texts)) if arguments.scores else []
        return {"outputs": outputs, "scores": scores}

    serve({"threads": torch.get_num_threads()}, repetition)


if __name__ == "__main__":
    main()
