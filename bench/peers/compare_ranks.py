"""Measures training in two ranks for docs/scaling.md: Marian-base with neural projections, 32 real sentences a rank.

    python compare_ranks.py --bin build/bench-peers/bin --work DIR [--rounds N] [--rate 1gbit]

DIR has the model and the batches that compare.py made there (`--only "training, real"`). All sides take turns, as whole
processes, and the medians of all their steps are compared. The two hosts are network namespaces, which need root.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from rows import ALLOCATOR

HERE = Path(__file__).resolve().parent
TWO_HOSTS = HERE.parents[1] / "tests" / "mpi" / "two_hosts.sh"


def last_json(command: list, **environment) -> dict:
    done = subprocess.run([str(word) for word in command], env=os.environ | environment, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stdout[-500:]}{done.stderr[-2000:]}")
    return json.loads(lines[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rate", default="1gbit", help="of the wire between the two hosts")
    parser.add_argument("--only", default="", help="sides whose name has one of these in it, with commas between them")
    arguments = parser.parse_args()
    work = arguments.work / "base"
    ours = [arguments.bin / "ours_ranks", work / "marian", work / "real.json", "--steps", arguments.steps]
    mpirun = ["mpirun", "--allow-run-as-root", "--bind-to", "core", "-n", 2, *ours]
    apart = [TWO_HOSTS, arguments.rate, 1, *ours]
    torch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", 2, HERE / "ddp_training.py",
             work / "marian", work / "real.json", "--steps", arguments.steps]
    sides = {
        "one process, 2 threads": [*ours, "--threads", 2],
        "2 ranks": mpirun,
        "2 ranks, sharded": [*mpirun, "--shard_optimizer"],
        "2 ranks, no overlap": [*mpirun, "--no_overlap"],
        "PyTorch DDP, sdpa": torch,
        "PyTorch DDP, eager": [*torch, "--attention", "eager"],
        f"2 hosts, {arguments.rate}": apart,
        f"2 hosts, {arguments.rate}, no overlap": [*apart, "--no_overlap"],
    }
    sides = {name: command for name, command in sides.items() if any(one in name for one in arguments.only.split(","))}
    kept_memory = ALLOCATOR.settings[1].environment  # what compare.py's trials choose for PyTorch
    found = {name: [] for name in sides}
    for _ in range(arguments.rounds):
        for name, command in sides.items():
            environment = {"OMP_NUM_THREADS": "1"} | (kept_memory if name.startswith("PyTorch") else {})
            found[name].append(last_json(command, **environment))
            print(f"{name}: {statistics.median(found[name][-1]['seconds']):.3f} s", file=sys.stderr, flush=True)
    print("| | sentences a step | seconds a step | waiting for sums, seconds |\n|---|---|---|---|")
    for name, runs in found.items():
        seconds = statistics.median(one for run in runs for one in run["seconds"])
        waited = [one for run in runs for one in run.get("waited", [])]
        print(f"| {name} | {32 if name.startswith('one') else 64} | {seconds:.3f} | "
              f"{f'{statistics.median(waited):.3f}' if waited else ''} |")


if __name__ == "__main__":
    main()
