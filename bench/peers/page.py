"""The generated parts of docs/benchmarks.md, one for each processor: what compare.py measured there, and on what."""

import importlib.metadata
import platform
import re
import statistics
import subprocess
from datetime import date
from pathlib import Path

from rows import BANDWIDTH_TARGET, BUILD_TARGET, MEMORY_TARGET, PEAK_BATCHES, PEAK_TARGET, ROWS

BEGIN, END = "<!-- results on {}: written by bench/peers/compare.py -->", "<!-- end of results -->"
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


def bandwidth_lines(results: list) -> list:
    lines = []
    for result in results:
        if "decoding_gbs" not in result:
            continue
        share = result["decoding_gbs"] / result["read_gbs"]
        lines.append([result["work"], f"{result['read_gbs']:.1f}", f"{result['decoding_gbs']:.1f}",
                      f"{1e3 * result['token_seconds']:.1f}", f"{100 * share:.0f}%",
                      f"{100 * BANDWIDTH_TARGET:.0f}%, {verdict(share >= BANDWIDTH_TARGET)}"])
    return lines


def rounded_lines(results: list) -> list:
    lines = []
    for result in results:
        if "float_seconds" not in result:
            continue
        ratio = statistics.median(result["float_seconds"]) / statistics.median(result["seconds"])
        of_kept = lambda kept: f"{100 * kept[0]:.0f}%, {100 * kept[1]:.1f}%"
        lines.append([result["work"], result["against"], speed(result["float_seconds"], result), f"{ratio:.2f} ×",
                      f"{result['float_target']:g} ×, {verdict(ratio >= result['float_target'])}", of_kept(result["kept"]),
                      of_kept(result["peer_kept"])])
    return lines


def latency_lines(results: list) -> list:
    lines = []
    for result in results:
        if "latencies" not in result:
            continue
        sides = [result[f"{side}latencies"] for side in ("", "peer_", "float_")]
        text = [f"{1e3 * p50:.0f}, {1e3 * p99:.0f}" for p50, p99 in sides]
        lines.append([result["work"], result["against"], f"{result['about']['sentences']:,}", *text,
                      f"{sides[1][0] / sides[0][0]:.2f} ×, {sides[1][1] / sides[0][1]:.2f} ×"])
    return lines


def build_lines(builds: list) -> list:
    lines = []
    for one in builds:
        ratio = statistics.median(one["native_seconds"]) / statistics.median(one["seconds"])
        lines.append([one["work"], speed(one["seconds"], one), speed(one["native_seconds"], one), f"{ratio:.2f} ×",
                      f"{BUILD_TARGET:g} ×, {verdict(ratio >= BUILD_TARGET)}", one["commit"]])
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
    return (f"{100 * check['equal']:.1f}% of the texts equal token for token, scores to "
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


def processor() -> str:
    cpu = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.*)", cpu)
    features = set(re.search(r"flags\s*: (.*)", cpu)[1].split()) if "flags" in cpu else set()
    known = ["avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16"]
    if "avx512_bf16" not in features:  # such processors have avx512_vnni
        known += ["avx512_vnni", "avx_vnni"]
    vectors = [name for name in known if name in features]
    return f"{model[1].strip() if model else platform.machine()}; {', '.join(vectors)}"


def machine(results: dict) -> list:
    """Rows of one machine may be measured on different days, from different commits."""
    rows = results["rows"]
    measured = {}
    for row in rows:
        measured.setdefault((row["commit"], row["date"]), []).append(row["short"])
    several = lambda shorts: f" ({', '.join(shorts)})" if len(measured) > 1 else ""
    memory = int(re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())[1]) / 2**20
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PEERS)
    return [
        ["processor", processor()],
        ["memory", f"{memory:.0f} GiB"],
        ["threads", "2 on both sides, on the same two cores"],
        ["this library", "; ".join(f"commit {commit} of {day}{several(shorts)}"
                                   for (commit, day), shorts in measured.items())],
        ["compiled with", results["flags"]],
        ["peers", f"{versions}; Python {platform.python_version()}"],
    ]


def chart(page: Path) -> Path:
    """Of this machine's ratios."""
    name = re.sub(r"\W+", "-", processor()).strip("-").lower()
    return page.with_suffix("") / f"ratios-{name}.svg"


def write_page(page: Path, results: dict) -> None:
    """This machine's section; those of others stay as they are."""
    rows = results["rows"]
    measured = [row for row in rows if "left_out" not in row]
    bandwidth, rounded, latencies = bandwidth_lines(measured), rounded_lines(measured), latency_lines(measured)
    memory = memory_lines(measured)
    missing = [row.work for row in ROWS if row.work not in {one["work"] for one in rows}]
    counts = sorted({len(row["seconds"]) for row in measured})
    parts = [
        f"### {processor()}\n",
        f"![Speed of this library as a multiple of its peers']({page.stem}/{chart(page).name})\n",
        "Tokens a second: target tokens in training, tokens of the results in translation and generation; the median of "
        f"{' or '.join(map(str, counts))} repetitions, in brackets the slowest and the fastest.\n",
        table(["work", "against", "this library", "peer", "ratio", "target", ""], speed_lines(rows)),
        *([f"Not measured here: {'; '.join(missing)}.\n"] if missing else []),
        "Multiply-adds of two cores at most, measured between the repetitions, in GFLOP/s, and the rate of a whole step: its "
        "products with weights, and these with attention's products, divided by its time.\n",
        table(["work", "multiply-adds", "weights", "and attention", "share", "target"], peak_lines(measured)),
        *(["Generation of one text after its prompt: the rate at which the cores read a large array, measured between the "
           "repetitions, and the size of the weights, keys and values for a token, divided by its time.\n",
           table(["work", "memory, GB/s", "generation, GB/s", "ms a token", "share", "target"], bandwidth)]
          if bandwidth else []),
        *(["int8 and bfloat16 compared with this library's float, and the effect of rounding on the translations: the share "
           "that stays equal, and the share of all tokens that stay.\n",
           table(["work", "against", "float, tokens a second", "rounded", "target", "kept", "kept by the peer"], rounded)]
          if rounded else []),
        *(["A sentence at a time, milliseconds: the median and the 99th percentile.\n",
           table(["work", "against", "sentences", "this library", "peer", "this library, float", "against the peer"],
                 latencies)] if latencies else []),
        *(["Our programs built without `-march`, which choose their kernels at run time, and built with `-march=native`, in "
           "alternation; tokens a second.\n",
           table(["work", "without", "with", "ratio", "target", "commit"], build_lines(results["builds"]))]
          if results.get("builds") else []),
        *(["Peak of resident memory:\n",
           table(["work", "against", "this library", "peer", "ratio", "target", ""], memory)] if memory else []),
        "Before anything is timed, without dropout:\n",
        table(["work", "against", "both compute"], [[row["work"], row["against"], agreement(row)] for row in measured
                                              if "check" in row]),
        "The peer's settings, the fastest of those tried (seconds for a repetition):\n",
        table(["work", "against", "settings", "tried"],
              [[row["work"], row["against"], row["settings"],
                "<br>".join(f"{one['settings']}: " + (f"{one['seconds']:.2f}" if "seconds" in one else "failed")
                            for one in row["trials"])] for row in measured]),
        "Measured on:\n",
        table(["", ""], machine(results)),
    ]
    replace_section(page, BEGIN.format(processor()), END, parts)


def replace_section(page: Path, begin: str, end: str, parts: list) -> None:
    """What the page has between the lines `begin` and `end`; the rest stays. A page without them gets them, behind the
    last line `end`."""
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    if begin not in text:
        before, last, behind = text.rpartition(end)
        text = f"{before}{last}\n\n{begin}\n{end}{behind}" if last else f"{text}{begin}\n{end}\n"
    before, rest = text.split(begin)
    page.write_text(f"{before}{begin}\n\n" + "\n".join(parts) + f"\n{end}{rest.split(end, 1)[1]}", encoding="utf-8")
