"""PyTorch's side of compare_ranks.py: DistributedDataParallel with gloo; ours_ranks.cpp is its counterpart.

    python -m torch.distributed.run --nproc_per_node 2 ddp_training.py MODEL BATCHES [--attention eager] [--steps N]
"""

import argparse
import time
from pathlib import Path

import torch
import torch.distributed as dist

from hf_training import translation_inputs
from hugging_face import load, read_batches
from serve import answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("batches", type=Path)
    parser.add_argument("--attention", default="sdpa", choices=["sdpa", "eager"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=8)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    dist.init_process_group("gloo")
    rank, ranks = dist.get_rank(), dist.get_world_size()
    model = load(arguments.model, arguments.attention).train()
    batches = [translation_inputs(model, batch) for batch in read_batches(arguments.batches)]
    parallel = torch.nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5, weight_decay=0.0, fused=True)
    seconds, losses = [], []
    for step in range(-2, arguments.steps):  # the first two warm up
        inputs = batches[((step + 2) * ranks + rank) % len(batches)]
        dist.barrier()
        start = time.perf_counter()
        loss = parallel(**inputs).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        dist.barrier()
        if step >= 0:
            seconds.append(time.perf_counter() - start)
            losses.append(loss.item())
    if rank == 0:
        answer({"seconds": seconds, "losses": losses})
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
