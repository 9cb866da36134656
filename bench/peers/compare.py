"""Compares this library with its peers on this machine: the same weights, tokens and batches, turn by turn.

    python compare.py --bin build/bench-peers/bin --work DIR [--page docs/benchmarks.md] [--quick]
    python compare.py --bin build/bench-peers/bin --builds build/bench-portable/bin --work DIR [--page docs/benchmarks.md]
    python compare.py --device cuda --bin DIR --work DIR [--sentences FILE] [--quick]

For each row of rows.py: both sides must compute the same (without dropout); the peer's settings are chosen by trying
them; then repetitions of both sides take turns, the other side stopped, and medians are compared. DIR keeps models,
batches, logs and results.json; with --page the tables go into that page and the chart beside it. With --device cuda
the rows are those for a GPU, and gpu_page.py makes their tables; FILE is one that prepare.py wrote. With --builds no
peer runs: our programs take turns with themselves, built without -march in the other folder.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

from page import chart, commit, gpu_machine, write_page
from prepare import BASE, QUICK, prepare, prepare_gpu
from process import Failed, Process
from rows import ADAMW, ALLOCATOR, EXACT, GPU_ROWS, INT8_GEMM, ROWS, Row, ours, peer


LIMIT = 900.0  # seconds for one answer


class Comparison:
    def __init__(self, arguments, cores: list):
        self.bin, self.work, self.quick = arguments.bin, arguments.work, arguments.quick
        self.repetitions = 2 if arguments.quick else arguments.repetitions
        self.trial_limit, self.no_trials = arguments.trial_limit, arguments.no_trials
        self.cores = cores
        self.chosen = {}  # settings that hold for all rows
        self.known = {}  # what was measured before, by the row's work, where its trials are to be used again

    def start_ours(self, row: Row, more: list = ()) -> Process:
        return Process(ours(row, self.bin, self.work) + list(more), {}, self.work / "ours.log", self.cores, LIMIT)

    def start_peer(self, row: Row, settings: tuple = (), more: list = (), limit: float = LIMIT) -> Process:
        command = peer(row, sys.executable, self.work)
        environment = {}
        for setting in settings:
            command += setting.arguments
            environment |= setting.environment
        return Process(command + list(more), environment, self.work / "peer.log", self.cores, limit)

    def check(self, row: Row) -> dict:
        """Both sides' results of one repetition without dropout; a repetition of training makes several steps."""
        with self.start_ours(row, row.check) as one:
            mine = one.repetition()
        try:
            with self.start_peer(row, (), row.check + row.peer_check, self.trial_limit) as one:
                theirs = one.repetition()
        except Failed as failure:
            raise Failed(f"{failure}; this library took {mine['seconds']:.0f} s")
        found = compared_steps(mine, theirs) if row.training else compared_translations(mine, theirs)
        if found["difference"] > row.tolerance or found.get("equal", 1.0) < 0.9:
            raise Failed(f"the two sides compute different things: {found}")
        return found

    def choose(self, row: Row) -> tuple:
        """The settings that make the peer fastest, found choice by choice (one must save at least 2%), and all trials.
        """
        trials = []
        least = float("inf")

        def seconds(settings: tuple) -> float:
            trial = {"settings": names(settings)}
            trials.append(trial)
            try:
                with self.start_peer(row, settings, limit=self.trial_limit) as one:
                    one.repetition()
                    trial["seconds"] = one.repetition()["seconds"]
                    if trial["seconds"] < 1.1 * least and not row.parts:  # a machine held up for a moment must not decide
                        trial["seconds"] = min(trial["seconds"], one.repetition()["seconds"])
                    if row.memory:
                        trial["memory"] = one.peak_memory()
            except Failed as failure:
                trial["failed"] = str(failure)
            print(f"    {trial['settings']}: {trial.get('seconds', 'failed')}", flush=True)
            return trial.get("seconds", float("inf"))

        best = tuple(self.chosen.get(choice, choice.settings[0]) for choice in row.choices)
        if self.quick or self.no_trials:
            return best, trials
        least = seconds(best)
        for place, choice in enumerate(row.choices):
            if choice in self.chosen:
                continue
            for setting in choice.settings[1:]:
                other = best[:place] + (setting,) + best[place + 1:]
                taken = seconds(other)
                if taken < 0.98 * least:
                    best, least = other, taken
            if choice.once and least < float("inf"):
                self.chosen[choice] = best[place]
        return best, trials

    def keep(self, rows: dict) -> None:
        """Settings that earlier measurements chose: of each row, and for all."""
        self.known = dict(rows)
        used = {name for row in rows.values() for name in row.get("settings", "").split(", ")}
        self.chosen = {choice: setting for choice in (ADAMW, ALLOCATOR, INT8_GEMM) for setting in choice.settings
                       if setting.name in used}

    def chosen_before(self, row: Row) -> tuple | None:
        """The settings and trials of an earlier measurement, or None: they have to be tried."""
        before = self.known.get(row.work, {})
        if not before.get("trials"):
            return None
        named = {setting.name: setting for choice in row.choices for setting in choice.settings}
        chosen = before["settings"].split(", ")
        if not all(name in named for name in chosen):
            return None  # rows.py has other settings now
        return tuple(named[name] for name in chosen), before["trials"]

    def measure_rounded(self, row: Row) -> dict:
        """Three sides take turns: ours and the peer's in int8 or bfloat16, and ours in float, whose translations the
        others should keep. That one agrees with the peer's float has a row of its own."""
        result = {}
        settings, result["trials"] = self.chosen_before(row) or self.choose(row)
        result["settings"] = names(settings)
        turns = min(row.parts, 2 * self.repetitions) if row.parts else self.repetitions
        with (self.start_ours(row) as we, self.start_peer(row, settings) as they,
              self.start_ours(row.in_float()) as in_float):
            sides = {"": we, "peer_": they, "float_": in_float}
            for side in sides.values():
                side.repetition()
            answers = {side: [] for side in sides}
            for _ in range(turns):
                for side, program in sides.items():
                    answers[side].append(program.repetition())
        counted = lambda answer: sum(len(ids) for ids in answer["outputs"])
        for side, found in answers.items():  # rounding makes translations longer or shorter: seconds for as many tokens
            result[f"{side}seconds"] = [one["seconds"] * counted(same) / counted(one)
                                        for one, same in zip(found, answers["float_"])]
            result[f"{side}tokens"] = sum(counted(one) for one in found)
            if row.parts:
                result[f"{side}latencies"] = percentiles([one for answer in found for one in answer["latencies"]])
        translations = {side: [ids for answer in found for ids in answer["outputs"]] for side, found in answers.items()}
        result["kept"], result["peer_kept"] = (kept(translations[side], translations["float_"]) for side in ("", "peer_"))
        result["about"] = {"tokens": statistics.mean(map(counted, answers["float_"])), "sentences": len(translations["float_"])}
        print("  seconds " + ", ".join(f"{side or 'ours_'}{statistics.median(result[side + 'seconds']):.3f}" for side in sides)
              + f"; kept {result['kept']}, by the peer {result['peer_kept']}", flush=True)
        return result

    def measure(self, row: Row) -> dict:
        if row.rounded:
            return self.measure_rounded(row)
        result = {}
        if row.exact_options:
            result["exact_check"] = self.check(replace(row, options=row.exact_options, tolerance=EXACT))
            print(f"  agree in float32: {result['exact_check']}", flush=True)
        result["check"] = self.check(row)
        print(f"  agree: {result['check']}", flush=True)
        settings, result["trials"] = self.chosen_before(row) or self.choose(row)
        result["settings"] = names(settings)
        mine, theirs = [], []
        with self.start_ours(row) as we, self.start_peer(row, settings) as they:
            result["about"] = we.about
            we.repetition(), they.repetition()  # memory grows, caches fill
            for _ in range(self.repetitions):
                mine.append(we.repetition())
                theirs.append(they.repetition())
            if row.memory:
                result["memory"] = we.peak_memory()
                # Settings cost memory too: the peer's most frugal ones count.
                result["peer_memory"] = min([they.peak_memory()] + [t["memory"] for t in result["trials"]
                                                                    if "memory" in t])
        result["seconds"] = [one["seconds"] for one in mine]
        result["peer_seconds"] = [one["seconds"] for one in theirs]
        for measured in ("fma_gflops", "read_gbs", "decoding_gbs", "token_seconds"):
            if measured in mine[0]:
                result[measured] = statistics.median(one[measured] for one in mine)
        if not row.training:
            result["about"] = {"tokens": sum(len(ids) for ids in mine[0]["outputs"])}
        print(f"  ours {statistics.median(result['seconds']):.3f} s, {row.against} "
              f"{statistics.median(result['peer_seconds']):.3f} s", flush=True)
        return result

    def measure_builds(self, row: Row, other: Path) -> dict:
        """Our side of a row, compiled for this processor and, in the folder `other`, for any."""
        command = ours(row, other, self.work)
        with self.start_ours(row) as native, Process(command, {}, self.work / "other.log", self.cores, LIMIT) as any_cpu:
            sides = {"native_seconds": native, "seconds": any_cpu}
            for side in sides.values():
                side.repetition()
            turns = [{name: side.repetition() for name, side in sides.items()}
                     for _ in range(row.parts or self.repetitions)]
            about = any_cpu.about
        if not row.training:
            about = {"tokens": statistics.mean(sum(map(len, one["seconds"]["outputs"])) for one in turns)}
        result = {name: [one[name]["seconds"] for one in turns] for name in sides}
        print("  " + ", ".join(f"{name} {statistics.median(found):.3f}" for name, found in result.items()), flush=True)
        return {"work": row.work, "about": about, "commit": commit(), "date": date.today().isoformat(), **result}

    def row(self, row: Row) -> dict:
        print(f"{row.work}, against {row.against}", flush=True)
        described = {"work": row.work, "short": row.short, "against": row.against, "target": row.target, "float_target": row.float_target,
                     "commit": commit(), "date": date.today().isoformat()}
        missing = [path for path in (self.work / row.model, self.work / row.batches) if not path.exists()]
        try:
            if missing:
                raise Failed(row.needs)
            return described | self.measure(row)
        except Failed as failure:
            print(f"  left out: {failure}", flush=True)
            return described | {"left_out": str(failure)}


def names(settings: tuple) -> str:
    return ", ".join(setting.name for setting in settings)


def relative(a: float, b: float) -> float:
    return abs(a - b) / max(abs(a), abs(b), 1e-30)


def compared_steps(mine: dict, theirs: dict) -> dict:
    """The losses of all steps, and the first gradient norm. Adam's step divides gradients by their size, the smallest
    too, whose rounding is then as large as they are: after it, float32's norms are 1e-4 from float64's in the peer."""
    norms = relative(mine["gradient_norms"][0], theirs["gradient_norms"][0])
    losses = [relative(a, b) for a, b in zip(mine["losses"], theirs["losses"], strict=True)]
    return {"losses": mine["losses"], "peer_losses": theirs["losses"],
            "gradient_norms": mine["gradient_norms"], "peer_gradient_norms": theirs["gradient_norms"],
            "difference": max([norms, *losses])}


def compared_translations(mine: dict, theirs: dict) -> dict:
    """Candidates whose scores are equal to rounding may come out in either order, so scores must agree for every
    sentence and tokens for nearly all."""
    lengths = [len(ids) for ids in mine["outputs"]]
    return {"lengths": [min(lengths), statistics.mean(lengths), max(lengths)],
            "equal": statistics.mean(a == b for a, b in zip(mine["outputs"], theirs["outputs"], strict=True)),
            "difference": max(relative(a, b) for a, b in zip(mine["scores"], theirs["scores"], strict=True))}


def percentiles(latencies: list) -> list:
    """The median and the 99th percentile."""
    ordered = sorted(latencies)
    return [statistics.median(ordered), ordered[min(len(ordered) - 1, round(0.99 * len(ordered)))]]


def kept(found: list, in_float: list) -> list:
    """What rounding leaves of float's translations: the share of those that are equal, and the share of all tokens
    that need no change to make them equal."""
    changes = sum(edits(a, b) for a, b in zip(found, in_float, strict=True))
    return [statistics.mean(a == b for a, b in zip(found, in_float)), 1.0 - changes / sum(len(ids) for ids in in_float)]


def edits(a: list, b: list) -> int:
    """Tokens inserted, removed and replaced between two sequences."""
    row = list(range(len(b) + 1))
    for i, one in enumerate(a):
        diagonal, row[0] = row[0], i + 1
        for j, other in enumerate(b):
            diagonal, row[j + 1] = row[j + 1], min(diagonal + (one != other), row[j] + 1, row[j + 1] + 1)
    return row[-1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=Path, required=True, help="folder of our programs")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--builds", type=Path, help="folder of our programs built without -march, to compare with --bin")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--sentences", type=Path, help="real sentences for the GPU; without, lengths are drawn")
    parser.add_argument("--page", type=Path, help="the Markdown file to fill")
    parser.add_argument("--flags", default="", help="how our programs were compiled, for the page")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--trial_limit", type=float, default=600.0, help="seconds that the peer may take to show what it computes, and "
                        "that a setting of it may take")
    parser.add_argument("--no_trials", action="store_true", help="take the first setting of each choice of the peer")
    parser.add_argument("--keep_settings", action="store_true",
                        help="give the peer the settings that its trials chose before, those for all rows in new rows, too")
    parser.add_argument("--only", default="", help="measure the rows whose short name has this in it, and keep what was "
                        "measured of the others")
    parser.add_argument("--quick", action="store_true", help="tiny models, to try the program itself")
    arguments = parser.parse_args()

    work = arguments.work = (arguments.work / ("quick" if arguments.quick else "base")).resolve()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))  # so that both sides are ended too
    on_gpu = arguments.device == "cuda"
    all_rows = GPU_ROWS if on_gpu else ROWS
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        sys.exit("the comparison takes two cores, and there is one")
    print(f"Models and batches in {work}", flush=True)
    sizes = QUICK if arguments.quick else BASE
    data, models = (Path(os.environ.get(f"NEURAL_ATTENTION_{kind}_DIR", "")) for kind in ("DATA", "MODELS"))
    if on_gpu:
        sentences = prepare_gpu(work, sizes, data, arguments.sentences)
    else:
        cores = cores[:2]
        prepare(work, sizes, data, models, {row.model for row in all_rows if arguments.only in row.short})
    comparison = Comparison(arguments, cores)
    kept = work / "results.json"
    before = json.loads(kept.read_text()) if kept.exists() else {"rows": []}
    rows = {row["work"]: row for row in before["rows"]}
    builds = {row["work"]: row for row in before.get("builds", [])}
    if arguments.keep_settings:
        comparison.keep(rows)
    results = {"flags": arguments.flags, "repetitions": comparison.repetitions}
    if on_gpu:
        results |= {"sentences": sentences, "machine": gpu_machine()}
    for row in all_rows:
        if arguments.only not in row.short:
            continue
        if arguments.builds:
            print(row.work, flush=True)
            builds[row.work] = comparison.measure_builds(row, arguments.builds)
        else:
            rows[row.work] = comparison.row(row)
        results["builds"] = [builds[row.work] for row in all_rows if row.work in builds]
        results["rows"] = [rows[row.work] for row in all_rows if row.work in rows]
        kept.write_text(json.dumps(results, indent=1))
    if "rows" not in results:
        there = ", ".join(row.short for row in all_rows)
        sys.exit(f"no row's short name has '{arguments.only}' in it; there are: {there}")
    if on_gpu:
        print(kept)
        return 1 if any("left_out" in row for row in results["rows"]) else 0
    page = arguments.page
    if arguments.quick or not page:
        page = work / "benchmarks.md"
    write_page(page, results)
    if arguments.builds:
        print(page)
        return 0
    if all("left_out" in row for row in results["rows"]):
        sys.exit("no row could be measured")
    drawn = chart(page)
    drawn.parent.mkdir(exist_ok=True)
    subprocess.run([arguments.bin / "ratio_chart", work / "results.json", drawn], check=True)
    print(f"{page} and {drawn}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
