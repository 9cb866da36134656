"""Writes tests/golden/gpt2_directories/<case>: tiny GPT-2 models as Hugging Face's save_pretrained lays them out, float32,
with expected.json: ids of two texts, and their logits in float64.

Usage: python gpt2_directories.py [--output DIR]
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from transformers import GPT2Config

from model_goldens import require
from model_variants import fill_randomly, roles
from neural_projections import NeuralGPT2LMHeadModel

LINEAR = roles("linear", "linear", "linear", "linear")
CASES = {
    "stock": dict(neural_attention={"projectors": LINEAR}),
    "without_bias": dict(neural_attention={"projectors": LINEAR, "bias": False}, activation_function="gelu", n_inner=10),
    "mixed": dict(neural_attention={
        "projectors": roles("linear", "linear", "linear", "plain_neural"),
        "layer_projectors": {"decoder.1": {"query": {"type": "nonlinear_query", "expansion": 0.5},
                                           "output": {"type": "linear", "expansion": 2}}}}),
    "narrow": dict(neural_attention={"projectors": LINEAR, "attention_value_width": 4, "value_residual": "learned"}),
    "ceres": dict(neural_attention={"projectors": roles("joint_qkv", "joint_qkv", "joint_qkv", "linear"),
                                    "attention_soft_cap": 3.0, "qk_norm": "rms", "attention_gate": "per_head"}),
}


def write(folder: Path, settings: dict) -> None:
    config = GPT2Config(vocab_size=17, n_positions=12, n_embd=6, n_layer=2, n_head=2, bos_token_id=3, eos_token_id=3,
                        **settings)
    model = NeuralGPT2LMHeadModel(config).eval()
    fill_randomly(model, 5, lambda name, noise: 0.5 * noise)
    model.save_pretrained(folder)
    again, info = NeuralGPT2LMHeadModel.from_pretrained(folder, output_loading_info=True)
    require(not any(info.values()), f"Hugging Face does not read its own directory: {info}")
    again = again.eval().double()
    texts = [np.random.default_rng(7).integers(17, size=length) for length in (9, 4)]
    with torch.no_grad():
        logits = [again(input_ids=torch.from_numpy(text[None])).logits[0].flatten().tolist() for text in texts]
    (folder / "expected.json").write_text(
        json.dumps({"texts": [text.tolist() for text in texts], "logits": sum(logits, [])}) + "\n")
    for file in folder.iterdir():
        file.chmod(0o644)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path,
                        default=Path(__file__).resolve().parent.parent / "golden" / "gpt2_directories")
    folder = parser.parse_args().output
    torch.set_num_threads(1)
    for case, settings in CASES.items():
        (folder / case).mkdir(parents=True, exist_ok=True)
        write(folder / case, settings)
        print(case, sum(file.stat().st_size for file in (folder / case).iterdir()), "bytes")


if __name__ == "__main__":
    main()
