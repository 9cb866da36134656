"""PyTorch's flash attention in bfloat16 at the shapes of kernels.cpp, forward and backward, as a table in Markdown.

    python torch_attention.py

Operations are counted as there: 4 · queries · keys · width forward and 10 backward, half of it where it is causal.
"""

import statistics
import time

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

TOKENS, HEADS, WIDTH = 16384, 8, 64
TURNS = 4  # sets of arrays that take turns, so that no cache holds what is read


def seconds(work) -> float:
    """Of one call: the median of five rounds, each with one wait at its end."""
    def time_of(calls: int) -> float:
        torch.cuda.synchronize()
        start = time.perf_counter()
        for i in range(calls):
            work(i % TURNS)
        torch.cuda.synchronize()
        return time.perf_counter() - start

    time_of(TURNS)
    calls = TURNS
    while time_of(calls) < 0.02:
        calls *= 2
    return statistics.median(time_of(calls) for _ in range(5)) / calls


def main() -> None:
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, scaled_dot_product_attention's flash kernel, "
          "bfloat16\n")
    print("| operation | shape | µs | rate |\n| --- | --- | --- | --- |")
    for length in (512, 1024, 2048):
        for causal in (False, True):
            shape = (TOKENS // length, HEADS, length, WIDTH)
            q, k, v, dout = ([torch.randn(shape, device="cuda", dtype=torch.bfloat16, requires_grad=name != "dout")
                              for _ in range(TURNS)] for name in ("q", "k", "v", "dout"))
            with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
                attend = lambda i: scaled_dot_product_attention(q[i], k[i], v[i], is_causal=causal)
                with torch.no_grad():
                    forward = seconds(attend)
                outs = [attend(i) for i in range(TURNS)]
                backward = seconds(lambda i: torch.autograd.grad(outs[i], (q[i], k[i], v[i]), dout[i],
                                                                 retain_graph=True))
            pairs = TOKENS * length * HEADS * WIDTH * (0.5 if causal else 1.0)
            named = (f"{TOKENS // length} sequences of {length}, {HEADS} × {WIDTH}" + (", causal" if causal else ""))
            for name, taken, products in ("attention", forward, 4), ("attention, backward", backward, 10):
                print(f"| {name} | {named} | {1e6 * taken:.1f} | {products * pairs / taken / 1e12:.4g} TFLOP/s |",
                      flush=True)


if __name__ == "__main__":
    main()
