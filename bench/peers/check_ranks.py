"""Checks what training in several processes may cost.

    python check_ranks.py alone BEFORE AFTER [--rounds N] -- --data multi30k --config small --max_steps 30 --threads 2
    python check_ranks.py moments --bin build/bench-peers/bin --work DIR [--ranks 4]

`alone` trains in one process with the program `translation` of two folders, which take turns: the weights and losses must
have the same bits, and the medians of the times of their steps may differ by 2 %. The flags behind -- are those of
`translation train`. `moments` compares the memory of the optimizer's moments with and without --shard_optimizer: a rank
must have its share, within 5 %. DIR has the model and the batches that compare.py made there (--only "training, real").
The exit code is 1 if something is not as it must be.
"""

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

MOST_SLOWER = 0.02
MOST_BESIDE_SHARE = 0.05


@dataclass(frozen=True)
class Run:
    bits: str  # of the weights and the losses
    seconds: float  # of all steps


@dataclass(frozen=True)
class Ended:
    output: str
    peak: int  # bytes: the most that one of its processes had resident


def run(command: list) -> Ended:
    """Throws RuntimeError if the command fails."""
    words = [str(word) for word in command]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        _, status, usage = os.wait4(child.pid, 0)  # counts the processes that it has waited for, too
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        output = out.read()
        if child.returncode != 0:
            raise RuntimeError(f"{' '.join(words)}: {output[-500:]}{err.read()[-2000:]}")
    return Ended(output, usage.ru_maxrss * 1024)


def train(program: Path, flags: list, folder: Path) -> Run:
    run([program, "train", *flags, "--eval_strategy", "no", "--logging_steps", 1, "--output_dir", folder,
         "--overwrite_output_dir"])
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    losses = [(row["loss"], row["gradient_norm"]) for row in rows if "loss" in row]
    if not losses:
        raise RuntimeError(f"{program}: there is no step in its metrics")
    bits = hashlib.sha256((folder / "model.safetensors").read_bytes() + repr(losses).encode())
    return Run(bits.hexdigest(), next(row["seconds"] for row in rows if "final" in row))


def check_alone(arguments: argparse.Namespace) -> bool:
    programs = {"before": arguments.before / "translation", "after": arguments.after / "translation"}
    found = {name: [] for name in programs}
    with tempfile.TemporaryDirectory() as folder:
        for repetition in range(arguments.rounds + 1):
            for name in sorted(programs, reverse=repetition % 2 == 0):  # each goes first as often as the other
                one = train(programs[name], arguments.flags, Path(folder) / name)
                if repetition > 0:  # the first round warms up
                    found[name].append(one)
                print(f"{name}: {one.seconds:.3f} s", file=sys.stderr, flush=True)
    same = len({one.bits for runs in found.values() for one in runs}) == 1
    before, after = (statistics.median(one.seconds for one in found[name]) for name in ("before", "after"))
    slower = after / before - 1
    print(f"bits: {'the same' if same else 'DIFFERENT'}")
    print(f"seconds: {before:.3f} before, {after:.3f} after, {100 * slower:+.1f} % (at most {100 * MOST_SLOWER:.0f} %)")
    return same and slower <= MOST_SLOWER


def check_moments(arguments: argparse.Namespace) -> bool:
    work = arguments.work / "base"
    command = ["mpirun", "--allow-run-as-root", "--oversubscribe", "-n", arguments.ranks, arguments.bin / "ours_ranks",
               work / "marian", work / "real.json", "--steps", arguments.steps]
    moments = {}
    for name, more in (("whole", []), ("sharded", ["--shard_optimizer"])):
        ended = run([*command, *more])
        answers = [json.loads(line) for line in ended.output.splitlines() if line.startswith("{")]
        if not answers:
            raise RuntimeError(f"ours_ranks said nothing: {ended.output[-500:]}")
        moments[name] = answers[-1]["moments"]
        print(f"{name}: moments of {moments[name] / 2**20:.1f} MiB a rank; the largest rank had {ended.peak / 2**20:.0f} MiB")
    share = moments["sharded"] / moments["whole"]
    beside = share * arguments.ranks - 1
    print(f"share: 1/{1 / share:.3f} on {arguments.ranks} ranks, {100 * beside:+.2f} % "
          f"(at most {100 * MOST_BESIDE_SHARE:.0f} %)")
    return abs(beside) <= MOST_BESIDE_SHARE


def main() -> None:
    words = sys.argv[1:]
    end = words.index("--") if "--" in words else len(words)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    alone = commands.add_parser("alone")
    alone.add_argument("before", type=Path, help="folder with the program of the code before")
    alone.add_argument("after", type=Path, help="and with that of the code to check")
    alone.add_argument("--rounds", type=int, default=7, help="after one that warms up")
    alone.set_defaults(check=check_alone)
    moments = commands.add_parser("moments")
    moments.add_argument("--bin", type=Path, required=True)
    moments.add_argument("--work", type=Path, required=True)
    moments.add_argument("--ranks", type=int, default=4)
    moments.add_argument("--steps", type=int, default=1)
    moments.set_defaults(check=check_moments)
    arguments = parser.parse_args(words[:end])
    arguments.flags = words[end + 1:]
    sys.exit(0 if arguments.check(arguments) else 1)


if __name__ == "__main__":
    main()
