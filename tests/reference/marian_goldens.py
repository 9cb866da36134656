"""Writes tests/golden/marian/<preset>.safetensors and .json: tiny float64 Marian models with everything they compute.

Usage: python marian_goldens.py [--output DIR]     (default: ../golden/marian beside this file)
The files are byte-identical from run to run. README.md in this folder lists the keys.
"""

import argparse
import copy
import json
import warnings
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.numpy import save_file
from torch import nn
from transformers import GenerationConfig, MarianConfig, get_linear_schedule_with_warmup
from transformers.pytorch_utils import ALL_LAYERNORM_LAYERS
from transformers.trainer_pt_utils import LabelSmoother, get_parameter_names

import marian_variants as variants

VOCABULARY = 37
PAD = 36
EOS = 0
SMOOTHING = 0.1
STEPS = 10
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 0.01
CLIP = 1.0
GREEDY_MAX_LENGTH = 20
SOURCE_LENGTHS = (6, 1, 9, 4)
TARGET_LENGTHS = (5, 7, 2, 1)
# Seeds for which some greedy sentences end by themselves and some by the forced end, with clear margins.
SEEDS = {"linear": 127, "paper_marian": 11, "paper_marian_baseline": 127, "plain_neural": 118, "mixed": 20}
# The baseline computes the same function as `linear` under other names: its file leaves out adamw.* and
# grad_smoothed.* to stay small.
WITHOUT_EXTRAS = ("paper_marian_baseline",)

CONFIG = dict(
    vocab_size=VOCABULARY,
    decoder_vocab_size=VOCABULARY,
    d_model=12,
    encoder_layers=2,
    decoder_layers=2,
    encoder_attention_heads=3,
    decoder_attention_heads=3,
    encoder_ffn_dim=20,
    decoder_ffn_dim=20,
    max_position_embeddings=24,
    activation_function="swish",
    scale_embedding=True,
    dropout=0.0,
    attention_dropout=0.0,
    activation_dropout=0.0,
    encoder_layerdrop=0.0,
    decoder_layerdrop=0.0,
    share_encoder_decoder_embeddings=True,
    tie_word_embeddings=True,
    pad_token_id=PAD,
    decoder_start_token_id=PAD,
    bos_token_id=EOS,
    eos_token_id=EOS,
    forced_eos_token_id=EOS,
)


def require(condition, text: str) -> None:
    if not condition:
        raise AssertionError(text)


def random_sentences(generator, lengths):
    """Ids 1..35 with the end-of-sentence id last; a length of 1 is the end-of-sentence id alone."""
    return [np.append(generator.integers(1, PAD, size=length - 1), EOS).astype(np.int64) for length in lengths]


def pad_rows(sentences, filler: int) -> torch.Tensor:
    rows = np.full((len(sentences), max(map(len, sentences))), filler, dtype=np.int64)
    for row, sentence in zip(rows, sentences):
        row[: len(sentence)] = sentence
    return torch.from_numpy(rows)


def offsets(sentences) -> np.ndarray:
    return np.concatenate([[0], np.cumsum([len(sentence) for sentence in sentences])]).astype(np.int64)


def pack(padded: torch.Tensor, lengths) -> np.ndarray:
    """[batch, longest, n] -> [tokens, n], the real positions only."""
    return torch.cat([row[:length] for row, length in zip(padded, lengths)]).detach().numpy().copy()


def run_forward(model, sources, targets):
    labels = pad_rows(targets, -100)
    ids = pad_rows(sources, PAD)
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


def check_gradients(found: dict, variant: variants.Variant, label: str) -> list:
    """Every gradient is finite and non-zero except the key biases, whose exact gradient is zero."""
    key_bias = variants.key_bias_name(variant.k)
    zero = []
    for name, gradient in found.items():
        require(np.isfinite(gradient).all(), f"{label}: gradient of {name} is not finite")
        largest = np.abs(gradient).max()
        if name.endswith(key_bias):
            require(largest < 1e-14, f"{label}: {name} should have a zero gradient, has {largest}")
            zero.append(name)
        else:
            require(largest > 1e-7, f"{label}: gradient of {name} vanishes ({largest})")
    require(len(zero) == 6, "six attentions have six key biases")
    return zero


def check_padding_row(model, result, loss: torch.Tensor, found: dict) -> None:
    """The padding row receives the tied output layer's gradient and nothing from the lookups of the start token."""
    d_logits, = torch.autograd.grad(loss, [result.logits], retain_graph=True)
    hidden = result.decoder_hidden_states[-1].detach()
    from_head = torch.einsum("btv,btd->vd", d_logits, hidden).numpy()
    row = found["model.shared.weight"]
    require(np.abs(row[PAD] - from_head[PAD]).max() < 1e-14, "the padding row has an embedding gradient")
    require(np.abs(row[PAD]).max() > 1e-5, "the padding row has no gradient from the output layer")
    require(np.abs(row[EOS] - from_head[EOS]).max() > 1e-3, "other rows have no embedding gradient")


def train(model, sources, targets) -> dict:
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
    require(losses[-1] < losses[0], "training does not lower the loss")
    require(max(norms) > CLIP, "clipping is never active")
    tensors = {f"adamw.{name}": parameter.detach().numpy().copy() for name, parameter in names.items()}
    tensors["adamw.losses"] = np.array(losses)
    tensors["adamw.gradient_norms"] = np.array(norms)
    tensors["adamw.learning_rates"] = np.array(rates)
    require(sum(name.startswith("adamw.") for name in tensors) == len(names) + 3, "adamw keys collide with a parameter")
    return tensors, sorted(names.keys() - decayed)


def greedy(model, sources):
    """Ids after the start token, the end-of-sentence id included, padding cut off; and the smallest top-1 margin."""
    settings = dict(
        num_beams=1,
        do_sample=False,
        max_length=GREEDY_MAX_LENGTH,
        bad_words_ids=[[PAD]],
        forced_eos_token_id=EOS,
        eos_token_id=EOS,
        bos_token_id=EOS,
        pad_token_id=PAD,
        decoder_start_token_id=PAD,
    )
    generation = GenerationConfig(**settings)

    def run(batch):
        mask = pad_rows([np.ones_like(sentence) for sentence in batch], 0)
        out = model.generate(
            input_ids=pad_rows(batch, PAD),
            attention_mask=mask,
            generation_config=generation,
            return_dict_in_generate=True,
            output_scores=True,
        )
        found = []
        for row in out.sequences.numpy():
            require(row[0] == PAD, "generation does not begin with the start token")
            found.append(row[1 : 1 + int(np.argmax(row[1:] == EOS)) + 1].astype(np.int64))
        margins = []
        for step, scores in enumerate(out.scores[: GREEDY_MAX_LENGTH - 2]):
            best = scores.topk(2, dim=-1).values
            margins += [float(b[0] - b[1]) for b, ids in zip(best, found) if step < len(ids)]
        return found, min(margins)

    together, margin = run(sources)
    for source, ids in zip(sources, together):
        alone, _ = run([source])
        require(np.array_equal(alone[0], ids), "greedy output depends on the batch")
        require(ids[-1] == EOS and PAD not in ids and len(ids) <= GREEDY_MAX_LENGTH - 1, "malformed greedy output")
    return together, margin, settings


def make(preset: str, folder: Path) -> int:
    variant = variants.PRESETS[preset]
    torch.manual_seed(0)
    config = MarianConfig(**CONFIG)
    model = variants.build(config, variant, SEEDS[preset])
    if preset == "linear":
        stock = transformers.MarianMTModel(config)
        require(list(stock.state_dict()) == list(model.state_dict()), "the linear preset is not the stock model")
        require(str(stock) == str(model), "the linear preset's modules are not the stock model's")

    generator = np.random.default_rng(77)
    sources = random_sentences(generator, SOURCE_LENGTHS)
    targets = random_sentences(generator, TARGET_LENGTHS)
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
    require(shifted == max(TARGET_LENGTHS), "decoder inputs have another length than the labels")
    outputs = packed_outputs(result, SOURCE_LENGTHS, TARGET_LENGTHS)
    check_packing(model, sources, targets, outputs)
    tensors.update(outputs)
    start = np.sqrt(config.d_model) * state["model.shared.weight"].numpy()[PAD]
    start = start + variants.sinusoidal_table(1, config.d_model)[0]
    for offset in offsets(targets)[:-1]:
        require(np.abs(outputs["output.decoder_embedding"][offset] - start).max() < 1e-14, "start token is not pad at 0")

    smoothed = smoothed_loss(result.logits, labels)
    tensors["output.loss"] = np.array([result.loss.item()])
    tensors["output.loss_smoothed"] = np.array([smoothed.item()])
    for prefix, loss in (("grad", result.loss), ("grad_smoothed", smoothed)):
        found = gradients(model, loss)
        zero_gradients = check_gradients(found, variant, prefix)
        check_padding_row(model, result, loss, found)
        tensors.update({f"{prefix}.{name}": value for name, value in found.items()})

    generated, margin, generation = greedy(model, sources)
    ends = {len(ids) == GREEDY_MAX_LENGTH - 1 for ids in generated}
    require(ends == {True, False}, "greedy sentences should end both by themselves and at the limit")
    require(margin > 1e-2, f"greedy choices are too close: {margin}")
    tensors["output.greedy"] = np.concatenate(generated)
    tensors["output.greedy_offsets"] = offsets(generated)

    trained_tensors, undecayed = train(copy.deepcopy(model), sources, targets)
    if preset in WITHOUT_EXTRAS:
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith("grad_smoothed.")}
    else:
        tensors.update(trained_tensors)

    for name, tensor in tensors.items():
        require(tensor.dtype in (np.float64, np.int64) and tensor.flags.c_contiguous, f"{name}: wrong layout")
        require(tensor.size > 0 and np.isfinite(tensor).all(), f"{name}: empty or not finite")

    description = {
        "preset": preset,
        "config": CONFIG,
        "projectors": variant.as_dict(),
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
        "has_adamw": preset not in WITHOUT_EXTRAS,
        "has_grad_smoothed": preset not in WITHOUT_EXTRAS,
        "generation": generation,
        "greedy_minimum_margin": float(f"{margin:.6g}"),
        "facts": {
            "position_ids_start_at": 0,
            "position_table": "HF's formula in float64 (HF itself rounds the table to float32)",
            "decoder_input": "labels shifted right, pad first",
            "pad_row_of_embedding": "not zero here; looked up as it is for the start token",
            "pad_row_gradient": "from the tied output layer only (padding_idx)",
            "greedy_ids": "without the start token, with the final end-of-sentence id; max_length counts the start",
        },
        "versions": {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__},
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{preset}.safetensors"
    save_file(tensors, str(path))
    path.chmod(0o644)
    (folder / f"{preset}.json").write_text(json.dumps(description, indent=1, sort_keys=True) + "\n")
    lengths = [len(ids) for ids in generated]
    print(
        f"{preset:22} {description['parameter_count']:6} parameters, {len(tensors):4} tensors, {path.stat().st_size:7} "
        f"bytes, loss {result.loss.item():.6f}, smoothed {smoothed.item():.6f}, greedy lengths {lengths}, "
        f"margin {margin:.3g}"
    )
    return path.stat().st_size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path(__file__).resolve().parent.parent / "golden" / "marian")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", message="Using the model-agnostic default `max_length`")  # 20 is meant
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)  # HF builds its causal mask in the default type
    torch.use_deterministic_algorithms(True)
    total = sum(make(preset, arguments.output) for preset in variants.PRESETS)
    require(total < 2_500_000, f"the goldens are too large: {total} bytes")
    print(f"total {total} bytes")


if __name__ == "__main__":
    main()
