"""Hugging Face's side of the translation rows; ours_translation.cpp is its counterpart.

    python hf_translation.py MODEL BATCHES [--attention eager] [--compile] [--dtype int8] [--threads 1]
"""

import argparse
from pathlib import Path

import torch
from torch.ao.quantization import per_channel_dynamic_qconfig, quantize_dynamic

from hugging_face import load, read_batches, with_mask
from serve import serve, translations


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("batches", type=Path)
    parser.add_argument("--attention", default="sdpa", choices=["sdpa", "eager"])
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--scores", action="store_true", help="to compare them")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16", "int8"],
                        help="int8: of linear layers, dynamic")
    parser.add_argument("--threads", type=int, help="instead of one for each core")
    parser.add_argument("--num_beams", type=int, help="instead of the model's")
    parser.add_argument("--max_length", type=int, help="instead of the model's")
    parser.add_argument("--parts", type=int, default=0, help="of the batches, of which each repetition takes the next")
    arguments = parser.parse_args()

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    model = load(arguments.model, arguments.attention).eval()
    if arguments.dtype == "bfloat16":
        model = model.to(torch.bfloat16)
    if arguments.dtype == "int8":
        model = quantize_dynamic(model, {torch.nn.Linear: per_channel_dynamic_qconfig}, dtype=torch.qint8)
    if arguments.num_beams:
        model.generation_config.num_beams = arguments.num_beams
    if arguments.max_length:
        model.generation_config.max_length = arguments.max_length
    pad, end = model.config.pad_token_id, model.config.eos_token_id
    batches = [with_mask([pair["source"] for pair in batch], pad) for batch in read_batches(arguments.batches)]
    if arguments.compile:
        model.forward = torch.compile(model.forward, dynamic=True)

    @torch.inference_mode()
    def translate(batch: dict) -> list:
        found = model.generate(**batch, return_dict_in_generate=True, output_scores=arguments.scores)
        outputs = [[token for token in ids if token not in (pad, end)] for ids in found.sequences.tolist()]
        return list(zip(outputs, found.sequences_scores.tolist() if arguments.scores else [0.0] * len(outputs)))

    serve({"threads": torch.get_num_threads()}, translations(batches, arguments.parts, translate))


if __name__ == "__main__":
    main()
