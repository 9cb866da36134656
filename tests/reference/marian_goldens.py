"""Writes tests/golden/marian/<preset>.safetensors and .json: tiny float64 Marian models with everything they compute.

Usage: python marian_goldens.py [--output DIR] [--random COUNT [--seed SEED]]
The default folder is ../golden/marian beside this file. With --random, models of sizes and projections drawn from SEED
(default: NEURAL_ATTENTION_PARITY_SEED in the environment, else drawn itself; it is printed) are written instead of the
presets, as random_<number>.
The files are byte-identical from run to run. README.md in this folder lists the keys.
"""

import argparse
import copy
import json
import os
import secrets
import warnings
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.numpy import save_file
from torch import nn
from transformers import get_linear_schedule_with_warmup
from transformers.pytorch_utils import ALL_LAYERNORM_LAYERS
from transformers.trainer_pt_utils import LabelSmoother, get_parameter_names

import marian_variants as variants
from marian_generation import generations, pad_rows, require

SMOOTHING = 0.1
STEPS = 10
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 0.01
CLIP = 1.0


def random_sentences(generator, lengths, subject):
    """Ordinary ids with the end-of-sentence id last; a length of 1 is the end-of-sentence id alone."""
    ordinary = [id for id in range(subject.vocabulary) if id not in (subject.pad_id, subject.eos)]
    return [np.append(generator.choice(ordinary, size=length - 1), subject.eos).astype(np.int64) for length in lengths]


def offsets(sentences) -> np.ndarray:
    return np.concatenate([[0], np.cumsum([len(sentence) for sentence in sentences])]).astype(np.int64)


def pack(padded: torch.Tensor, lengths) -> np.ndarray:
    """[batch, longest, n] -> [tokens, n], the real positions only."""
    return torch.cat([row[:length] for row, length in zip(padded, lengths)]).detach().numpy().copy()


def run_forward(model, sources, targets):
    labels = pad_rows(targets, -100)
    ids = pad_rows(sources, model.config.pad_token_id)
    mask = pad_rows([np.ones_like(sentence) for sentence in sources], 0)
    return model(
        input_ids=ids, attention_mask=mask, labels=labels, output_hidden_states=True, return_dict=True
    ), labels


def packed_outputs(result, source_lengths, target_lengths) -> dict:
    tensors = {"output.logits": pack(result.logits, target_lengths)}
    for side, states, lengths in (
        ("encoder", result.encoder_hidden_states, source_lengths),
        ("decoder", result.decoder_hidden_states, target_lengths),
    ):
        tensors[f"output.{side}_embedding"] = pack(states[0], lengths)
        for layer, state in enumerate(states[1:]):
            tensors[f"output.{side}_layer.{layer}"] = pack(state, lengths)
        tensors[f"output.{side}"] = pack(states[-1], lengths)
    return tensors


def check_packing(model, sources, targets, tensors: dict) -> None:
    """Each pair alone, without any padding, gives the same rows as the padded batch."""
    alone = []
    for source, target in zip(sources, targets):
        result, _ = run_forward(model, [source], [target])
        alone.append(packed_outputs(result, [len(source)], [len(target)]))
    for name, tensor in tensors.items():
        require(np.isfinite(tensor).all(), f"{name} is not finite")
        single = np.concatenate([outputs[name] for outputs in alone])
        require(single.shape == tensor.shape and tensor.size > 0, f"{name}: shapes differ")
        require(np.abs(single - tensor).max() < 1e-12, f"{name} depends on the padding")


def smoothed_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """(1-eps)*NLL + eps*mean over the vocabulary of -log p, mean over the non-ignored tokens."""
    flat, wanted = logits.reshape(-1, logits.shape[-1]), labels.reshape(-1)
    kept = wanted != -100
    log_p = flat[kept].log_softmax(dim=-1)
    nll = -log_p.gather(1, wanted[kept, None]).squeeze(1)
    loss = ((1 - SMOOTHING) * nll - SMOOTHING * log_p.mean(dim=-1)).mean()
    stock = LabelSmoother(epsilon=SMOOTHING)({"logits": logits}, labels)
    torch_own = nn.functional.cross_entropy(flat, wanted, ignore_index=-100, label_smoothing=SMOOTHING)
    # HF sums the smoothed part in float32, so it agrees only to that precision.
    require(abs(loss.item() - stock.item()) < 1e-6 * loss.item(), "HF's LabelSmoother disagrees")
    require(abs(loss.item() - torch_own.item()) < 1e-12, "torch's label smoothing disagrees")
    return loss


def trained_parameters(model) -> dict:
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def gradients(model, loss: torch.Tensor) -> dict:
    named = trained_parameters(model)
    found = torch.autograd.grad(loss, list(named.values()), retain_graph=True)
    return {name: gradient.numpy().copy() for name, gradient in zip(named, found)}


def check_gradients(found: dict, subject: variants.Subject, label: str) -> list:
    """Every gradient is finite and non-zero except the key biases, whose exact gradient is zero."""
    key_biases = variants.key_bias_names(subject.projectors["key"]["type"])
    zero = []
    for name, gradient in found.items():
        require(np.isfinite(gradient).all(), f"{label}: gradient of {name} is not finite")
        largest = np.abs(gradient).max()
        if name.endswith(key_biases):
            require(largest < 1e-14, f"{label}: {name} should have a zero gradient, has {largest}")
            zero.append(name)
        else:
            require(largest > 1e-7 or not subject.chosen, f"{label}: gradient of {name} vanishes ({largest})")
    require(len(zero) == subject.attentions * len(key_biases), "a key bias is missing")
    return zero


def check_padding_row(model, result, loss: torch.Tensor, found: dict) -> None:
    """The padding row receives the tied output layer's gradient and nothing from the lookups of the start token."""
    d_logits, = torch.autograd.grad(loss, [result.logits], retain_graph=True)
    hidden = result.decoder_hidden_states[-1].detach()
    from_head = torch.einsum("btv,btd->vd", d_logits, hidden).numpy()
    row, pad, eos = found["model.shared.weight"], model.config.pad_token_id, model.config.eos_token_id
    require(np.abs(row[pad] - from_head[pad]).max() < 1e-13, "the padding row has an embedding gradient")
    require(np.abs(row[pad]).max() > 1e-7, "the padding row has no gradient from the output layer")
    require(np.abs(row[eos] - from_head[eos]).max() > 1e-5, "other rows have no embedding gradient")


def train(model, subject, sources, targets):
    """AdamW as HF's Trainer sets it up: decay skips biases and LayerNorms, gradients are clipped, lr falls to zero."""
    names = trained_parameters(model)
    decayed = {name for name in get_parameter_names(model, ALL_LAYERNORM_LAYERS) if "bias" not in name}
    groups = [
        {"params": [p for name, p in names.items() if name in decayed], "weight_decay": WEIGHT_DECAY},
        {"params": [p for name, p in names.items() if name not in decayed], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.999), eps=1e-8, foreach=False)
    schedule = get_linear_schedule_with_warmup(optimizer, num_warmup_steps=0, num_training_steps=STEPS)
    losses, norms, rates = [], [], []
    for _ in range(STEPS):
        optimizer.zero_grad()
        result, _ = run_forward(model, sources, targets)
        result.loss.backward()
        norms.append(nn.utils.clip_grad_norm_(list(names.values()), CLIP).item())
        rates.append(optimizer.param_groups[0]["lr"])
        losses.append(result.loss.item())
        optimizer.step()
        schedule.step()
    require(optimizer.param_groups[0]["lr"] == 0.0, "the schedule does not end at zero")
    if subject.chosen:
        require(losses[-1] < losses[0], "training does not lower the loss")
        require(max(norms) > CLIP, "clipping is never active")
    tensors = {f"adamw.{name}": parameter.detach().numpy().copy() for name, parameter in names.items()}
    tensors["adamw.losses"] = np.array(losses)
    tensors["adamw.gradient_norms"] = np.array(norms)
    tensors["adamw.learning_rates"] = np.array(rates)
    require(sum(name.startswith("adamw.") for name in tensors) == len(names) + 3, "adamw keys collide with a parameter")
    return tensors, sorted(names.keys() - decayed)


def make(subject: variants.Subject, folder: Path) -> int:
    torch.manual_seed(0)
    model = variants.build(subject)
    config = model.config
    if all(projector["type"] == "linear" for projector in subject.projectors.values()):
        stock = transformers.MarianMTModel(config)
        require(list(stock.state_dict()) == list(model.state_dict()), "the linear preset is not the stock model")
        require(str(stock) == str(model), "the linear preset's modules are not the stock model's")

    generator = np.random.default_rng(subject.seed + 77)
    sources = random_sentences(generator, subject.source_lengths, subject)
    targets = random_sentences(generator, subject.target_lengths, subject)
    tensors = {
        "input.source_ids": np.concatenate(sources),
        "input.source_offsets": offsets(sources),
        "input.target_ids": np.concatenate(targets),
        "input.target_offsets": offsets(targets),
    }

    state = model.state_dict()
    saved = variants.saved_names(model)
    trained = trained_parameters(model)
    require(set(saved) == set(trained) | {"final_logits_bias"}, "unexpected parameters")
    for name in saved:
        tensors[f"param.{name}"] = state[name].numpy().copy()
        require(np.abs(state[name].numpy()).min() > 0, f"{name} has a zero entry")

    result, labels = run_forward(model, sources, targets)
    shifted = result.decoder_hidden_states[0].shape[1]
    require(shifted == max(subject.target_lengths), "decoder inputs have another length than the labels")
    outputs = packed_outputs(result, subject.source_lengths, subject.target_lengths)
    check_packing(model, sources, targets, outputs)
    tensors.update(outputs)
    factor = np.sqrt(config.d_model) if config.scale_embedding else 1.0
    start = factor * state["model.shared.weight"].numpy()[subject.pad_id]
    start = start + variants.sinusoidal_table(1, config.d_model)[0]
    for offset in offsets(targets)[:-1]:
        require(np.abs(outputs["output.decoder_embedding"][offset] - start).max() < 1e-14, "start token is not pad at 0")

    smoothed = smoothed_loss(result.logits, labels)
    tensors["output.loss"] = np.array([result.loss.item()])
    tensors["output.loss_smoothed"] = np.array([smoothed.item()])
    for prefix, loss in (("grad", result.loss), ("grad_smoothed", smoothed)):
        found = gradients(model, loss)
        zero_gradients = check_gradients(found, subject, prefix)
        check_padding_row(model, result, loss, found)
        tensors.update({f"{prefix}.{name}": value for name, value in found.items()})

    trained_tensors, undecayed = train(copy.deepcopy(model), subject, sources, targets)
    tensors.update(trained_tensors)

    for name, tensor in tensors.items():
        require(tensor.dtype in (np.float64, np.int64) and tensor.flags.c_contiguous, f"{name}: wrong layout")
        require(tensor.size > 0 and np.isfinite(tensor).all(), f"{name}: empty or not finite")

    description = {
        "preset": subject.name,
        "config": subject.config_dict(),
        "layer_norm_eps": 1e-5,
        "parameter_count": int(sum(p.numel() for p in trained.values())),
        "parameters": sorted(trained),
        "buffers": ["final_logits_bias"],
        "zero_gradient_parameters": sorted(zero_gradients),
        "label_smoothing": SMOOTHING,
        "adamw": {
            "steps": STEPS,
            "learning_rate": LEARNING_RATE,
            "schedule": "linear to zero, no warm-up",
            "betas": [0.9, 0.999],
            "eps": 1e-8,
            "weight_decay": WEIGHT_DECAY,
            "no_decay_parameters": undecayed,
            "max_gradient_norm": CLIP,
            "loss": "output.loss",
        },
        "facts": {
            "position_ids_start_at": 0,
            "position_table": "HF's formula in float64 (HF itself rounds the table to float32)",
            "decoder_input": "labels shifted right, pad first",
            "pad_row_of_embedding": "not zero here; looked up as it is for the start token",
            "pad_row_gradient": "from the tied output layer only (padding_idx)",
            "results": "ids without start and end tokens; max_length counts both",
        },
        "versions": {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__},
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{subject.name}.safetensors"
    save_file(tensors, str(path))
    path.chmod(0o644)
    description["generations"] = generations(model, subject, sources)
    written = write_description(folder / f"{subject.name}.json", description) + path.stat().st_size
    print(
        f"{subject.name:22} {description['parameter_count']:6} parameters, {len(tensors):4} tensors, {written:7} bytes, "
        f"loss {result.loss.item():.6f}, smoothed {smoothed.item():.6f}, "
        f"greedy lengths {[len(results[0]['ids']) for results in description['generations'][0]['results']]}"
    )
    return written


def write_description(path: Path, description: dict) -> int:
    """One line a key, and one for each setting of the generations."""
    lines = []
    for key, value in sorted(description.items()):
        if key == "generations":
            text = "[\n" + ",\n".join(json.dumps(one) for one in value) + "]"
        else:
            text = json.dumps(value)
        lines.append(f"{json.dumps(key)}: {text}")
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    return path.stat().st_size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path(__file__).resolve().parent.parent / "golden" / "marian")
    parser.add_argument("--random", type=int, default=0, metavar="COUNT")
    parser.add_argument("--seed", type=int, default=os.environ.get("NEURAL_ATTENTION_PARITY_SEED") or None)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)  # HF builds its causal mask in the default type
    torch.use_deterministic_algorithms(True)
    warnings.filterwarnings("ignore", message="Using the model-agnostic default `max_length`")  # 20 is meant

    if arguments.random == 0:
        total = sum(make(subject, arguments.output) for subject in variants.PRESETS)
        require(total < 2_200_000, f"the goldens are too large: {total} bytes")
        print(f"total {total} bytes")
        return
    seed = secrets.randbelow(2**31) if arguments.seed is None else arguments.seed
    print(f"seed {seed}", flush=True)
    generator = np.random.default_rng(seed)
    for path in arguments.output.glob("random_*"):
        path.unlink()
    for number in range(arguments.random):
        subject = variants.random_subject(number, generator)
        print(subject, flush=True)
        make(subject, arguments.output)


if __name__ == "__main__":
    main()
