"""Compares reference values that were just made with the committed ones.

    python compare_goldens.py MADE [COMMITTED]      (default: ../golden beside this file)

Numbers agree to 1e-12 of the largest of their tensor (at least 1), everything else exactly. One exception follows from
AdamW: it divides gradients that are zero but for rounding by their size, with eps = 1e-8 as the only brake; in ten steps
of lr 1e-3 noise of 1e-15 becomes 1e-9. Such are those of key biases, and in a neural key projection those of biases in
front of a ReLU that lets every token through.
"""

import argparse
import json
import math
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

TOLERANCE = 1e-12
NOISE = 1e-14  # gradients below it are taken for zero
AFTER_NOISE = 1e-9
# Models are compared by what they say of texts: another processor may train another one.
FOLDERS = {"marian": (".safetensors", ".json"), "roberta": (".safetensors", ".json"), "gpt2": (".safetensors", ".json"),
           "modules": (".safetensors", ".json"), "byte_bpe": (".json",), "masked_lm": (".json",)}


class Comparison:
    def __init__(self):
        self.numbers = 0
        self.worst = {}
        self.faults = []

    def number(self, name: str, kind: str, difference: float, count: int, tolerance: float) -> None:
        self.numbers += count
        self.worst[kind] = max(self.worst.get(kind, 0.0), difference)
        if not difference <= tolerance:
            self.faults.append(f"{name} differs by {difference}")

    def tensors(self, made: Path, committed: Path) -> None:
        a, b = load_file(made), load_file(committed)
        for name in sorted(a.keys() ^ b.keys()):
            self.faults.append(f"{committed.name}: {name} is in one file only")
        for name in sorted(a.keys() & b.keys()):
            x, y = a[name], b[name]
            label = f"{committed.name}: {name}"
            if x.shape != y.shape or x.dtype != y.dtype or x.size == 0:
                self.faults.append(f"{label}: {x.dtype} {x.shape} instead of {y.dtype} {y.shape}")
            elif y.dtype.kind == "f":
                differences = np.abs(x - y) / max(1.0, float(np.abs(y).max()))
                noise = np.zeros(y.shape, dtype=bool)
                if name.startswith("adamw.") and (gradient := b.get(name.replace("adamw.", "grad.", 1))) is not None:
                    noise = np.abs(gradient) < NOISE
                for kind, which, tolerance in ((name.split(".")[0], ~noise, TOLERANCE),
                                               ("AdamW without a gradient", noise, AFTER_NOISE)):
                    if which.any():
                        self.number(label, kind, float(differences[which].max()), int(which.sum()), tolerance)
            elif not np.array_equal(x, y):
                self.faults.append(f"{label} differs")

    def values(self, name: str, made, committed) -> None:
        if isinstance(committed, dict) and isinstance(made, dict) and made.keys() == committed.keys():
            for key in committed:
                self.values(f"{name}.{key}", made[key], committed[key])
        elif isinstance(committed, list) and isinstance(made, list) and len(made) == len(committed):
            for index, (x, y) in enumerate(zip(made, committed)):
                self.values(f"{name}.{index}", x, y)
        elif isinstance(committed, float) and isinstance(made, float) and math.isfinite(made):
            self.number(name, "json", abs(made - committed) / max(1.0, abs(committed)), 1, TOLERANCE)
        elif made != committed:
            self.faults.append(f"{name} is {str(made)[:100]} instead of {str(committed)[:100]}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("made", type=Path)
    parser.add_argument("committed", type=Path, nargs="?", default=Path(__file__).resolve().parents[1] / "golden")
    arguments = parser.parse_args()
    comparison = Comparison()
    files = 0
    for folder, suffixes in FOLDERS.items():
        committed = {path.name for path in (arguments.committed / folder).iterdir() if path.suffix in suffixes}
        made = {path.name for path in (arguments.made / folder).iterdir() if path.suffix in suffixes}
        if made != committed or not committed:
            comparison.faults.append(f"{folder}: {sorted(made)} instead of {sorted(committed)}")
        for name in sorted(made & committed):
            a, b = arguments.made / folder / name, arguments.committed / folder / name
            if a.suffix == ".json":
                comparison.values(name, json.loads(a.read_text()), json.loads(b.read_text()))
            else:
                comparison.tensors(a, b)
            files += 1
    print("\n".join(comparison.faults[:50]))
    print(f"{files} files, {comparison.numbers} numbers, {len(comparison.faults)} faults; largest differences: "
          + ", ".join(f"{kind} {worst:.2g}" for kind, worst in sorted(comparison.worst.items())))
    return 1 if comparison.faults else 0


if __name__ == "__main__":
    sys.exit(main())
