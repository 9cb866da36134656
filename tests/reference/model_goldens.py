"""What marian_goldens.py and roberta_goldens.py share: a model's numbers for one batch, as tensors and a description.

A batch has these methods:

    inputs()                             {"input.…": ids} as they are written
    forward(model)                       Hugging Face's result, with hidden states, and its labels; -100 is ignored
    packed(result)                       {"output.…": rows} of the real positions only
    alone()                              the batches of one sequence each
    check_padding(model, result, loss, gradients)    what padding_idx means for the gradients

A subject may have library_tensors({name: array}), the same under the library's names where Hugging Face has others.
"""

import argparse
import copy
import json
import os
import secrets
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.numpy import save_file
from torch import nn
from transformers import get_linear_schedule_with_warmup
from transformers.pytorch_utils import ALL_LAYERNORM_LAYERS
from transformers.trainer_pt_utils import LabelSmoother, get_parameter_names

from model_variants import KEY_BIASES, saved_names

SMOOTHING = 0.1
STEPS = 10
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 0.01
CLIP = 1.0


def require(condition, text: str) -> None:
    if not condition:
        raise AssertionError(text)


def pad_rows(sentences, filler: int) -> torch.Tensor:
    rows = np.full((len(sentences), max(map(len, sentences))), filler, dtype=np.int64)
    for row, sentence in zip(rows, sentences):
        row[: len(sentence)] = sentence
    return torch.from_numpy(rows)


def attention_mask(sentences) -> torch.Tensor:
    return pad_rows([np.ones_like(sentence) for sentence in sentences], 0)


def offsets(sentences) -> np.ndarray:
    return np.concatenate([[0], np.cumsum([len(sentence) for sentence in sentences])]).astype(np.int64)


def pack(padded: torch.Tensor, lengths) -> np.ndarray:
    """[batch, longest, n] -> [tokens, n], the real positions only."""
    return torch.cat([row[:length] for row, length in zip(padded, lengths)]).detach().numpy().copy()


def keep_output(module, into: dict, name: str):
    """Until the hook that this returns is removed, as `with` does, into[name] is what the module gave last."""
    def keep(module, inputs, output):
        into[name] = output[0] if isinstance(output, tuple) else output

    return module.register_forward_hook(keep)


def check_packing(model, batch, tensors: dict) -> None:
    """Each sequence alone, without any padding, gives the same rows as the padded batch."""
    alone = [one.packed(one.forward(model)[0]) for one in batch.alone()]
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


def renamed(subject, named: dict) -> dict:
    return subject.library_tensors(named) if hasattr(subject, "library_tensors") else named


def trained_parameters(model) -> dict:
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def gradients(model, subject, loss: torch.Tensor) -> dict:
    named = trained_parameters(model)
    found = torch.autograd.grad(loss, list(named.values()), retain_graph=True)
    return renamed(subject, {name: gradient.numpy().copy() for name, gradient in zip(named, found)})


def check_gradients(found: dict, subject, label: str) -> list:
    """Every gradient is finite and non-zero except the key biases, whose exact gradient is zero without a norm."""
    normed = "qk_norm" in getattr(subject, "options", {})
    biases = KEY_BIASES[subject.projectors["key"]["type"]] if getattr(subject, "bias", True) and not normed else ()
    key_biases = tuple(f"{subject.key_name}.{leaf}" for leaf in biases)
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


def check_padding_row(row: np.ndarray, pad: int, other: int, d_logits: torch.Tensor, states: torch.Tensor) -> None:
    """Of the tied matrix's gradient: the padding row receives what the output layer gives and nothing from lookups,
    another row both."""
    from_head = torch.einsum("btv,btd->vd", d_logits, states.detach()).numpy()
    require(np.abs(row[pad] - from_head[pad]).max() < 1e-13, "the padding row has an embedding gradient")
    require(np.abs(row[pad]).max() > 1e-7, "the padding row has no gradient from the output layer")
    require(np.abs(row[other] - from_head[other]).max() > 1e-5, "other rows have no embedding gradient")


def train(model, subject, batch):
    """AdamW as HF's Trainer sets it up: decay skips biases and norms, gradients are clipped, lr falls to zero.

    The Trainer knows an RMSNorm by its name, which one in a sequence does not have; it is skipped here all the same, and
    so are the factors of value residuals and the scales of attention, which the Trainer would decay.
    """
    names = trained_parameters(model)
    decayed = {name for name in get_parameter_names(model, [*ALL_LAYERNORM_LAYERS, nn.RMSNorm])
               if "bias" not in name and ".value_residual." not in name and not name.endswith(".scale")}
    groups = [
        {"params": [p for name, p in names.items() if name in decayed], "weight_decay": WEIGHT_DECAY},
        {"params": [p for name, p in names.items() if name not in decayed], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.999), eps=1e-8, foreach=False)
    schedule = get_linear_schedule_with_warmup(optimizer, num_warmup_steps=0, num_training_steps=STEPS)
    losses, norms, rates = [], [], []
    for _ in range(STEPS):
        optimizer.zero_grad()
        result, _ = batch.forward(model)
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
    named = renamed(subject, {name: parameter.detach().numpy().copy() for name, parameter in names.items()})
    tensors = {f"adamw.{name}": values for name, values in named.items()}
    tensors["adamw.losses"] = np.array(losses)
    tensors["adamw.gradient_norms"] = np.array(norms)
    tensors["adamw.learning_rates"] = np.array(rates)
    require(sum(name.startswith("adamw.") for name in tensors) == len(named) + 3, "adamw keys collide with a parameter")
    undecayed = {name: parameter.detach().numpy() for name, parameter in names.items() if name not in decayed}
    return tensors, sorted(renamed(subject, undecayed))


def write(model, subject, batch, folder: Path, buffers=(), outputs_hold=lambda outputs: None, **description) -> int:
    """Writes <name>.safetensors and <name>.json; returns their size. `buffers` are saved, but not trained;
    outputs_hold(outputs) checks what the family knows of them; `description` goes into the JSON as well."""
    tensors = batch.inputs()
    to_train = copy.deepcopy(model)
    state = model.state_dict()
    saved = saved_names(model)
    trained = trained_parameters(model)
    require(set(saved) == set(trained) | set(buffers), "unexpected parameters")
    for name, values in renamed(subject, {name: state[name].numpy() for name in saved}).items():
        tensors[f"param.{name}"] = values.copy()
        require(np.abs(values).min() > 0, f"{name} has a zero entry")

    result, labels = batch.forward(model)
    outputs = batch.packed(result)
    check_packing(model, batch, outputs)
    outputs_hold(outputs)
    tensors.update(outputs)
    smoothed = smoothed_loss(result.logits, labels)
    tensors["output.loss"] = np.array([result.loss.item()])
    tensors["output.loss_smoothed"] = np.array([smoothed.item()])
    for prefix, loss in (("grad", result.loss), ("grad_smoothed", smoothed)):
        found = gradients(model, subject, loss)
        zero_gradients = check_gradients(found, subject, prefix)
        batch.check_padding(model, result, loss, found)
        tensors.update({f"{prefix}.{name}": value for name, value in found.items()})

    trained_tensors, undecayed = train(to_train, subject, batch)
    tensors.update(trained_tensors)

    for name, tensor in tensors.items():
        require(tensor.dtype in (np.float64, np.int64) and tensor.flags.c_contiguous, f"{name}: wrong layout")
        require(tensor.size > 0 and np.isfinite(tensor).all(), f"{name}: empty or not finite")

    description |= {
        "preset": subject.name,
        "config": subject.config_dict(),
        "parameter_count": int(sum(p.numel() for p in trained.values())),
        "parameters": sorted(renamed(subject, {name: one.detach().numpy() for name, one in trained.items()})),
        "buffers": list(buffers),
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
        "versions": {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__},
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{subject.name}.safetensors"
    save_file(tensors, str(path))
    path.chmod(0o644)
    written = write_description(folder / f"{subject.name}.json", description) + path.stat().st_size
    print(
        f"{subject.name:22} {description['parameter_count']:6} parameters, {len(tensors):4} tensors, {written:7} bytes, "
        f"loss {result.loss.item():.6f}, smoothed {smoothed.item():.6f}"
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


def run(text: str, folder: str, variants, make, limit: int) -> None:
    """The command line of both scripts: writes variants.PRESETS to tests/golden/<folder>, or models that
    variants.random_subject draws. make(subject, folder) returns the bytes written, in all at most `limit`."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path(__file__).resolve().parent.parent / "golden" / folder)
    parser.add_argument("--random", type=int, default=0, metavar="COUNT")
    parser.add_argument("--seed", type=int, default=os.environ.get("NEURAL_ATTENTION_PARITY_SEED") or None)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)  # HF builds its masks in the default type
    torch.use_deterministic_algorithms(True)

    if arguments.random == 0:
        total = sum(make(subject, arguments.output) for subject in variants.PRESETS)
        require(total <= limit, f"the goldens are too large: {total} bytes")
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
