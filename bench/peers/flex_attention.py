"""PyTorch's FlexAttention, compiled: the time to make the block mask and to run forward, on the shape of

    farfield bench attention --pattern window:256 --seq 8192 --heads 12 --dim 64 --threads 2

Prints its own times only: run that command before and after it, since both need the whole processor. Needs PyTorch 2.6 or later
and a C++ compiler.
"""

import argparse
import statistics
import time

import torch
from torch.nn.attention.flex_attention import create_block_mask, flex_attention


def milliseconds(work, repeat):
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def difference_from_definition(q, k, v, output, window, row):
    """Largest difference of one row, all heads, from the definition in float64."""
    length, width = q.shape[2:]
    keys = slice(max(0, row - window), min(length, row + window + 1))
    q, k, v = q[0, :, row].double(), k[0, :, keys].double(), v[0, :, keys].double()
    weights = torch.softmax(torch.einsum("hd,hkd->hk", q, k) / width**0.5, dim=-1)
    exact = torch.einsum("hk,hkd->hd", weights, v)
    return (exact - output[0, :, row].double()).abs().max().item()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--window", type=int, default=256)
    parser.add_argument("--seq", type=int, default=8192)
    parser.add_argument("--heads", type=int, default=12)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=7)
    options = parser.parse_args()
    length, window = options.seq, options.window
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)

    def allows(batch, head, query, key):
        return (query - key <= window) & (key - query <= window)

    def make_mask():
        return create_block_mask(allows, None, None, length, length, device="cpu")

    start = time.perf_counter()
    mask = make_mask()
    first_mask = 1000 * (time.perf_counter() - start)
    mask_time = milliseconds(make_mask, options.repeat)

    q, k, v = (torch.randn(1, options.heads, length, options.dim) for _ in range(3))
    compiled = torch.compile(flex_attention)
    with torch.no_grad():
        start = time.perf_counter()
        output = compiled(q, k, v, block_mask=mask)
        compilation = 1000 * (time.perf_counter() - start)
        forward = milliseconds(lambda: compiled(q, k, v, block_mask=mask), options.repeat)

    rows = [0, length // 2, length - 1]
    worst = max(difference_from_definition(q, k, v, output, window, row) for row in rows)
    print(f"PyTorch {torch.__version__}, FlexAttention compiled, {options.threads} threads")
    print(f"window:{window}, {length} tokens, {options.heads} heads of {options.dim}")
    print(f"forward           {forward:9.1f} ms   median of {options.repeat}")
    print(f"mask creation     {mask_time:9.1f} ms   median of {options.repeat}; the first {first_mask:.1f} ms")
    print(f"first call        {compilation:9.1f} ms   compilation included")
    print(f"differs from the float64 definition by at most {worst:.1e}")


if __name__ == "__main__":
    main()
