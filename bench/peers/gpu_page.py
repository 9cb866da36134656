"""The part of docs/benchmarks.md on a GPU: what tests/run_on_gpu.sh measured there, and on what.

    python gpu_page.py WORK [--page docs/benchmarks.md]

WORK holds kernels.md, attention.md and steps.md, which the programs of bench/cuda printed, and peers/base/results.json
of compare.py --device cuda. What is not there has not been measured, and the page says so.
"""

import argparse
import json
import statistics
from pathlib import Path

from page import agreement, commit, replace_section, speed_lines, table
from rows import EXACT, GPU_ROWS, ROUNDED

BEGIN, END = "<!-- gpu: written by bench/peers/gpu_page.py -->", "<!-- end of gpu -->"
MISSING = "**Not measured** on a device.\n"


def utilisation_lines(results: list) -> list:
    lines = []
    for result in results:
        seconds, peak = statistics.median(result["seconds"]), result["fma_gflops"] / 1e3
        weights = result["about"]["weight_flops"] / seconds / 1e12
        whole = weights + result["about"]["attention_flops"] / seconds / 1e12
        lines.append([result["work"], f"{peak:.0f}", f"{weights:.1f}", f"{whole:.1f}", f"{100 * whole / peak:.0f}%"])
    return lines


def tried(result: dict) -> str:
    return "<br>".join(f"{one['settings']}: " + (f"{one['seconds']:.3f}" if "seconds" in one else "failed")
                       for one in result["trials"])


def peers(path: Path) -> list:
    if not path.exists():
        return [MISSING]
    results = json.loads(path.read_text(encoding="utf-8"))
    rows, machine = results["rows"], results["machine"]
    measured = [row for row in rows if "left_out" not in row]
    missing = [row.work for row in GPU_ROWS if row.work not in {one["work"] for one in rows}]
    return [
        f"{machine['device']}; {machine['peer']}, Python {machine['Python']}; this library at commit "
        f"{' and '.join(sorted({row['commit'] for row in rows}))}; {machine['date']}. Sentences: "
        f"{results['sentences']}.\n",
        "Tokens a second: target tokens of the translation, all tokens of the masked text; the median of "
        f"{results['repetitions']} repetitions, in brackets the slowest and the fastest.\n",
        table(["work", "against", "this library", "peer", "ratio", "target", ""], speed_lines(rows)),
        *([f"Not measured: {'; '.join(missing)}.\n"] if missing else []),
        "Of a large product of matrices, measured between the repetitions, in TFLOP/s: what the products with weights "
        "are, and with those inside attention, over the time of the whole step.\n",
        table(["work", "a large product", "weights", "and attention", "share"], utilisation_lines(measured)),
        f"Before anything is timed, without dropout: first in float32, within {EXACT:g}, then in bfloat16, within "
        f"{ROUNDED:.3g}, which is √100 · 2⁻⁹ (rows.py).\n",
        table(["work", "in float32 both compute", "in bfloat16"],
              [[row["work"], agreement({"check": row["exact_check"]}), agreement(row)] for row in measured]),
        "The peer's settings, the fastest of those tried (seconds for a repetition of two steps):\n",
        table(["work", "settings", "tried"], [[row["work"], row["settings"], tried(row)] for row in measured]),
    ]


def printed(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip() + "\n" if path.exists() else MISSING


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--page", type=Path, default=Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md")
    arguments = parser.parse_args()
    work = arguments.work
    replace_section(arguments.page, BEGIN, END, [
        f"Written at commit {commit()}.\n",
        "### Against PyTorch\n", *peers(work / "peers" / "base" / "results.json"),
        "### Training steps\n", printed(work / "steps.md"),
        "### Operations\n", printed(work / "kernels.md"),
        "### Attention of PyTorch\n", printed(work / "attention.md"),
    ])
    print(arguments.page)


if __name__ == "__main__":
    main()
