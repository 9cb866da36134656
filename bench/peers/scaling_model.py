"""What more ranks are expected to gain: the table of docs/scaling.md, by the cost model that the page describes.

    python scaling_model.py [--hidden SHARE]
"""

import argparse
from dataclasses import dataclass


@dataclass(frozen=True)
class Network:
    name: str
    bandwidth: float  # bytes a second of a rank
    latency: float  # seconds of a message


@dataclass(frozen=True)
class Model:
    name: str
    parameters: float
    tied: float  # parameters of the embedding, whose sum nothing hides
    layers: int
    tokens: int  # a rank and step

    def flop(self) -> float:
        return 6.0 * self.parameters * self.tokens


@dataclass(frozen=True)
class Machine:
    name: str
    gflops: float  # of a rank in a training step
    memory: float  # bytes a second that a rank's optimizer moves


REACHED = 0.66  # of a wire's bandwidth, as measured at 1 Gbit/s: rounds of messages do not overlap
NETWORKS = [Network("1 Gbit/s", REACHED * 1e9 / 8, 50e-6), Network("10 Gbit/s", REACHED * 1e10 / 8, 20e-6),
            Network("100 Gbit/s", REACHED * 1e11 / 8, 3e-6)]
MACHINES = [Machine("1 core", 110.0, 8e9), Machine("32 cores", 2500.0, 150e9)]
# An encoder's tokens meet half of the parameters, a decoder's the other half: so half of them count.
MODELS = [Model("Marian-base neural, 32 sentences", 116e6, 29.7e6, 12, 32 * 27),
          Model("RoBERTa-base plain neural, 8 × 512 tokens", 150e6, 38.6e6, 12, 8 * 512),
          Model("ten times Marian-base, 32 sentences", 1160e6, 100e6, 24, 32 * 27)]
RANKS = [2, 8, 64, 1024]


def seconds(model: Model, machine: Machine, network: Network, ranks: int, hidden: float, sharded: bool = False) -> float:
    """Of a step."""
    compute = model.flop() / (machine.gflops * 1e9)
    update = model.parameters * 4 * 7 / machine.memory  # gradient, value and two moments are read, three are written
    if ranks == 1:
        return compute + update

    def half(numbers: float) -> float:
        """A rank sends its share of the sums to all, or gets all others' contributions to it."""
        return (ranks - 1) / ranks * numbers * 4 / network.bandwidth + (ranks - 1) * network.latency

    layer = half((model.parameters - model.tied) / model.layers)
    during = (1 if sharded else 2) * layer * model.layers  # what may go on during the backward pass
    behind = (1 if sharded else 2) * half(model.tied) + (half(model.parameters) if sharded else 0.0)
    seen = max(during - hidden * compute * 2 / 3, during / model.layers)  # the layer left last has nothing to hide behind
    return compute + update / (ranks if sharded else 1) + seen + behind


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hidden", type=float, default=0.9, help="share of the backward pass during which sums go on")
    hidden = parser.parse_args().hidden
    print("| model and work of a rank | rank | network | " + " | ".join(f"{n:,} ranks" for n in RANKS) + " | 64, sharded |")
    print("|---|---|---|" + "---:|" * (len(RANKS) + 1))
    for model in MODELS:
        for machine in MACHINES:
            for network in NETWORKS:
                alone = seconds(model, machine, network, 1, hidden)
                shares = [alone / seconds(model, machine, network, n, hidden) for n in RANKS]
                shares.append(alone / seconds(model, machine, network, 64, hidden, sharded=True))
                print(f"| {model.name} | {machine.name} | {network.name} | "
                      + " | ".join(f"{100 * share:.0f} %" for share in shares) + " |")


if __name__ == "__main__":
    main()
