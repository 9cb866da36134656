"""The generated part of docs/benchmarks.md: what compare.py measured, and on what."""

import importlib.metadata
import platform
import re
import statistics
import subprocess
from datetime import date
from pathlib import Path

from rows import MEMORY_TARGET, PEAK_BATCHES, PEAK_TARGET, ROWS

BEGIN, END = "<!-- results: written by bench/peers/compare.py -->", "<!-- end of results -->"
PEERS = ("torch", "transformers", "ctranslate2")
SOURCE = Path(__file__).resolve().parents[2]


def table(header: list, lines: list) -> str:
    rows = [header, ["---"] * len(header), *lines]
    return "".join("| " + " | ".join(map(str, row)) + " |\n" for row in rows)


def ratio_of(result: dict) -> float:
    return statistics.median(result["peer_seconds"]) / statistics.median(result["seconds"])


def speed(seconds: list, result: dict) -> str:
    """Median of tokens per second, with the slowest and the fastest repetition."""
    rates = [result["about"]["tokens"] / one for one in seconds]
    return f"{statistics.median(rates):,.0f} ({min(rates):,.0f} – {max(rates):,.0f})"


def verdict(target_met: bool) -> str:
    return "met" if target_met else "**missed**"


def speed_lines(results: list) -> list:
    lines = []
    for result in results:
        target = f"{result['target']:g} ×"
        if "left_out" in result:
            lines.append([result["work"], result["against"], "", "", f"left out: {result['left_out']}", target, ""])
        else:
            lines.append([result["work"], result["against"], speed(result["seconds"], result),
                          speed(result["peer_seconds"], result), f"{ratio_of(result):.2f} ×", target,
                          verdict(ratio_of(result) >= result["target"])])
    return lines


def peak_lines(results: list) -> list:
    lines = []
    for result in results:
        if "weight_flops" not in result.get("about", {}):
            continue
        seconds, peak = statistics.median(result["seconds"]), result["fma_gflops"]
        weights = result["about"]["weight_flops"] / seconds / 1e9
        whole = weights + result["about"]["attention_flops"] / seconds / 1e9
        target = next((PEAK_TARGET for row in ROWS if row.work == result["work"] and row.batches == PEAK_BATCHES
                       and not row.options), None)
        lines.append([result["work"], f"{peak:.0f}", f"{weights:.0f}", f"{whole:.0f}", f"{100 * whole / peak:.0f}%",
                      f"{100 * target:.0f}%, {verdict(whole / peak >= target)}" if target else ""])
    return lines


def memory_lines(results: list) -> list:
    gibibytes = lambda size: f"{size / 2**30:.2f} GiB"
    return [[one["work"], one["against"], gibibytes(one["memory"]), gibibytes(one["peer_memory"]),
             f"{one['memory'] / one['peer_memory']:.2f} ×", f"≤ {MEMORY_TARGET:g} ×",
             verdict(one["memory"] <= MEMORY_TARGET * one["peer_memory"])] for one in results if "memory" in one]


def agreement(result: dict) -> str:
    check = result["check"]
    if "losses" in check:
        return (f"losses {check['losses'][0]:.6f} and {check['peer_losses'][0]:.6f}, gradient norms "
                f"{check['gradient_norms'][0]:.5f} and {check['peer_gradient_norms'][0]:.5f} at first; the largest "
                f"relative difference, steps compared: {check['difference']:.1e}, {len(check['losses'])}")
    shortest, mean, longest = check["lengths"]
    return (f"{100 * check['equal']:.1f}% of the translations equal token for token, scores to "
            f"{check['difference']:.1e}; {shortest} to {longest} tokens, {mean:.1f} in the mean")


def of_command(*command) -> str:
    """What it prints; nothing where there is no such command, as git on a machine that is lent."""
    try:
        return subprocess.run(command, capture_output=True, text=True, cwd=SOURCE).stdout.strip()
    except FileNotFoundError:
        return ""


def commit() -> str:
    return of_command("git", "describe", "--always", "--dirty") or "not known"


def gpu_machine() -> dict:
    """What a comparison on a GPU was measured on, by name."""
    return {
        "device": of_command("nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"),
        "peer": ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("torch", "transformers")),
        "Python": platform.python_version(),
        "date": date.today().isoformat(),
    }


def machine(flags: str, commits: set) -> list:
    cpu = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.*)", cpu)
    features = set(re.search(r"flags\s*: (.*)", cpu)[1].split()) if "flags" in cpu else set()
    vectors = [name for name in ("avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16") if name in features]
    memory = int(re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())[1]) / 2**20
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PEERS)
    return [
        ["processor", f"{model[1] if model else platform.machine()}; {', '.join(vectors)}"],
        ["memory", f"{memory:.0f} GiB"],
        ["threads", "2 on both sides, on the same two cores"],
        ["this library", f"commit {' and '.join(sorted(commits))}; {flags}"],
        ["peers", f"{versions}; Python {platform.python_version()}"],
        ["date", date.today().isoformat()],
    ]


def write_page(page: Path, results: dict) -> None:
    rows = results["rows"]
    measured = [row for row in rows if "left_out" not in row]
    parts = [
        "![Speed of this library as a multiple of its peers'](benchmarks/ratios.svg)\n",
        "Tokens a second: target tokens in training, tokens of the results in translation; the median of "
        f"{results['repetitions']} repetitions, in brackets the slowest and the fastest.\n",
        table(["work", "against", "this library", "peer", "ratio", "target", ""], speed_lines(rows)),
        "Of the multiply-adds that two cores can do, measured between the repetitions, in GFLOP/s: what the products "
        "with weights are, and with those inside attention, over the time of the whole step.\n",
        table(["work", "multiply-adds", "weights", "and attention", "share", "target"], peak_lines(measured)),
        "Peak of resident memory:\n",
        table(["work", "against", "this library", "peer", "ratio", "target", ""], memory_lines(measured)),
        "Before anything is timed, without dropout:\n",
        table(["work", "against", "both compute"], [[row["work"], row["against"], agreement(row)] for row in measured]),
        "The peer's settings, the fastest of those tried (seconds for a repetition):\n",
        table(["work", "against", "settings", "tried"],
              [[row["work"], row["against"], row["settings"],
                "<br>".join(f"{one['settings']}: " + (f"{one['seconds']:.2f}" if "seconds" in one else "failed")
                            for one in row["trials"])] for row in measured]),
        "Measured on:\n",
        table(["", ""], machine(results["flags"], {row["commit"] for row in rows})),
    ]
    replace_section(page, BEGIN, END, parts)


def replace_section(page: Path, begin: str, end: str, parts: list) -> None:
    """What the page has between the lines `begin` and `end`; the rest stays."""
    text = page.read_text(encoding="utf-8") if page.exists() else f"{begin}\n{end}\n"
    before, rest = text.split(begin)
    page.write_text(f"{before}{begin}\n\n" + "\n".join(parts) + f"\n{end}{rest.split(end)[1]}", encoding="utf-8")
