"""Hugging Face's side of the translation rows; ours_translation.cpp is its counterpart.

    python hf_translation.py MODEL BATCHES [--attention eager] [--compile]
"""

import argparse
from pathlib import Path

import torch

from hugging_face import load, read_batches, with_mask
from serve import serve


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("batches", type=Path)
    parser.add_argument("--attention", default="sdpa", choices=["sdpa", "eager"])
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--scores", action="store_true", help="to compare them")
    arguments = parser.parse_args()

    model = load(arguments.model, arguments.attention).eval()
    pad, end = model.config.pad_token_id, model.config.eos_token_id
    batches = [with_mask([pair["source"] for pair in batch], pad) for batch in read_batches(arguments.batches)]
    if arguments.compile:
        model.forward = torch.compile(model.forward, dynamic=True)

    @torch.inference_mode()
    def repetition() -> dict:
        outputs, scores = [], []
        for batch in batches:
            found = model.generate(**batch, return_dict_in_generate=True, output_scores=arguments.scores)
            outputs += [[token for token in ids if token not in (pad, end)] for ids in found.sequences.tolist()]
            scores += found.sequences_scores.tolist() if arguments.scores else []
        return {"outputs": outputs, "scores": scores}

    serve({"threads": torch.get_num_threads()}, repetition)


if __name__ == "__main__":
    main()
