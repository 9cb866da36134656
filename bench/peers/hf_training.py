"""PyTorch's and Hugging Face's side of the training rows; ours_training.cpp is its counterpart and says what a step is.

    python hf_training.py MODEL BATCHES [--dtype bfloat16] [--attention eager] [--adamw foreach] [--compile]
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


def exact_norm(model) -> torch.Tensor:
    """Of the gradients. That of clip_grad_norm_ sums in float32: of 30 million squares it keeps four digits."""
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    return torch.stack([gradient.double().square().sum() for gradient in gradients]).sum().sqrt()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("batches", type=Path)
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--attention", default="sdpa", choices=["sdpa", "eager"])
    parser.add_argument("--adamw", default="fused", choices=["fused", "foreach"])
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--no_dropout", action="store_true", help="to compare losses")
    arguments = parser.parse_args()

    model = load(arguments.model, arguments.attention, arguments.no_dropout).train()
    inputs_of = masked_inputs if model.config.model_type == "roberta" else translation_inputs
    batches = [inputs_of(model, batch) for batch in read_batches(arguments.batches)]
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5, weight_decay=0.0, **{arguments.adamw: True})
    forward = torch.compile(model) if arguments.compile else model

    def step(inputs: dict) -> tuple:
        with torch.autocast("cpu", torch.bfloat16, enabled=arguments.dtype == "bfloat16"):
            loss = forward(**inputs).loss
        loss.backward()
        if arguments.no_dropout:
            norm = exact_norm(model)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        else:
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return loss.item(), norm.item()

    def repetition() -> dict:
        losses, norms = zip(*map(step, batches))
        return {"losses": losses, "gradient_norms": norms}

    serve({"threads": torch.get_num_threads()}, repetition)


if __name__ == "__main__":
    main()
