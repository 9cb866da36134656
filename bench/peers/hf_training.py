"""PyTorch's and Hugging Face's side of the training rows; ours_training.cpp is its counterpart and says what a step is.

    python hf_training.py MODEL BATCHES [--device cuda] [--dtype bfloat16] [--attention eager] [--adamw foreach]
                          [--compile] [--parts N]
"""

import argparse
from pathlib import Path

import torch

from hugging_face import load, padded, read_batches, with_mask
from serve import serve

IGNORED = -100


def translation_inputs(model, pairs: list) -> dict:
    """As DataCollatorForSeq2Seq makes them."""
    labels = padded([pair["target"] for pair in pairs], IGNORED)
    return {**with_mask([pair["source"] for pair in pairs], model.config.pad_token_id), "labels": labels,
            "decoder_input_ids": model.prepare_decoder_input_ids_from_labels(labels)}


def masked_inputs(model, sequences: list) -> dict:
    """As DataCollatorForLanguageModeling makes them."""
    inputs = with_mask([one["ids"] for one in sequences], model.config.pad_token_id)
    labels = torch.full_like(inputs["input_ids"], IGNORED)
    for row, one in zip(labels, sequences):
        row[one["places"]] = torch.tensor(one["originals"])
    return {**inputs, "labels": labels}


def causal_inputs(model, windows: list) -> dict:
    """Each token is to predict the one behind it, the last one too: labels that are shifted already say so. Without
    the cache for generating, which from_pretrained turns on."""
    labels = torch.tensor([window[1:] for window in windows])
    return {"input_ids": torch.tensor([window[:-1] for window in windows]), "labels": labels, "shift_labels": labels,
            "use_cache": False}


INPUTS = {"marian": translation_inputs, "roberta": masked_inputs, "gpt2": causal_inputs}


def in_parts(batch: list, count: int) -> list:
    """One after another, so that less memory is needed, and sorted by length, so that less is padded."""
    if count == 1:
        return [batch]
    ordered = sorted(batch, key=lambda one: len(one["target"] if "target" in one else one["ids"]))
    size = -(-len(ordered) // count)
    return [ordered[first:first + size] for first in range(0, len(ordered), size)]


def exact_norm(model) -> torch.Tensor:
    squares = [p.grad.double().square().sum() for p in model.parameters() if p.grad is not None]
    return torch.stack(squares).sum().sqrt()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("batches", type=Path)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--attention", default="sdpa", choices=["sdpa", "eager"])
    parser.add_argument("--adamw", default="fused", choices=["fused", "foreach"])
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--parts", type=int, default=1, help="in how many a step takes its sentences")
    parser.add_argument("--no_dropout", action="store_true", help="to compare losses")
    arguments = parser.parse_args()

    if arguments.device == "cuda":
        torch.cuda.set_per_process_memory_fraction(0.7)  # the other side needs some too
    model = load(arguments.model, arguments.attention, arguments.no_dropout).to(arguments.device).train()
    inputs_of = INPUTS[model.config.model_type]
    batches = []
    for batch in read_batches(arguments.batches):
        parts = [inputs_of(model, part) for part in in_parts(batch, arguments.parts)]
        counts = [int((part["labels"] != IGNORED).sum()) for part in parts]
        there = lambda value: value.to(arguments.device) if isinstance(value, torch.Tensor) else value
        batches.append([({name: there(value) for name, value in part.items()}, count / sum(counts))
                        for part, count in zip(parts, counts)])
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5, weight_decay=0.0, **{arguments.adamw: True})
    forward = torch.compile(model) if arguments.compile else model

    def step(parts: list) -> tuple:
        losses = []
        for inputs, share in parts:
            with torch.autocast(arguments.device, torch.bfloat16, enabled=arguments.dtype == "bfloat16"):
                loss = forward(**inputs).loss * share
            loss.backward()
            losses.append(loss.detach())
        # In float32 the norm of 10⁸ numbers is off by 1e-4, so another is compared than the one that clips.
        exact = exact_norm(model) if arguments.no_dropout else None
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return torch.stack(losses).sum(), norm if exact is None else exact

    def repetition() -> dict:
        losses, norms = zip(*map(step, batches))  # read at the end, so that a GPU need not wait for the host
        return {"losses": [one.item() for one in losses], "gradient_norms": [one.item() for one in norms]}

    serve({"threads": torch.get_num_threads()}, repetition)


if __name__ == "__main__":
    main()
