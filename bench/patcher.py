# SPDX-License-Identifier: MIT
"""Entropies of documents here and by transformers' BltPatcher, in turns, with the same weights: kB a second, and the ratios of the medians.

long: one document of 4096 bytes; short: documents of about 600 bytes. transformers gets the short ones in its best way: one by one, or sorted
by length in padded batches, whatever is fastest. padded: each document padded to 8192 positions, as Meta's preprocessing does
(measured with transformers' model on the first short documents). Exit code 1 when entropies differ in float32.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import numpy as np
import torch
from transformers.models.blt.configuration_blt import BltPatcherConfig
from transformers.models.blt.modeling_blt import BltPatcher
from transformers.utils import logging

from texts import PATCHER, words

PADDED = 8192


def parse_arguments():
    parser = argparse.ArgumentParser(prog="bench-patcher", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--work", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="default: every CPU")
    parser.add_argument("--rounds", type=int, help="times that all run (default: 5)")
    parser.add_argument("--cpu-time", action="store_true", help="measure the processes' own time, in one thread: for busy machines")
    parser.add_argument("--documents", type=int, help="short documents (default: 64, of --quick 16)")
    parser.add_argument("--dtype", action="append", help="repeat it for more, measured in turns (default: float32, and bfloat16 where the CPU multiplies it)")
    parser.add_argument("--no-padded", action="store_true", help="leave Meta's method out, which takes longest")
    parser.add_argument("--json", metavar="FILE", help="also write all figures")
    arguments = parser.parse_args()
    arguments.rounds = arguments.rounds or (1 if arguments.quick else 5)
    arguments.documents = arguments.documents or (16 if arguments.quick else 64)
    arguments.threads = 1 if arguments.cpu_time else arguments.threads
    arguments.dtype = arguments.dtype or ["float32"] + ["bfloat16"] * has_bfloat16()
    return arguments


@torch.no_grad()
def prepare(work, count):
    """Model and documents -> (model, {corpus: documents})"""
    torch.manual_seed(0)
    model = BltPatcher(BltPatcherConfig(**PATCHER)).eval()
    for p in model.parameters():
        if p.dim() > 1:
            p.normal_(0, p.shape[-1] ** -0.5)
    model.save_pretrained(os.path.join(work, "model"))
    random = np.random.default_rng(1)
    corpora = {"long": [words(random, 4096)], "short": [words(random, int(size)) for size in random.integers(300, 900, count)]}
    for name, documents in corpora.items():
        with open(os.path.join(work, name + ".jsonl"), "w") as f:
            f.writelines(json.dumps({"text": text}) + "\n" for text in documents)
    return model, corpora


def ours(arguments, options):
    """bench_patcher's report"""
    command = [arguments.bench, os.path.join(arguments.work, "model"), "--json", "-j", str(arguments.threads), "--rounds", "1", *options]
    if arguments.cpu_time:
        command.append("--cpu-time")
    for name in "long", "short":
        command += ["--corpus", os.path.join(arguments.work, name + ".jsonl")]
    done = subprocess.run(command, stdout=subprocess.PIPE)
    if done.returncode != 0:
        sys.exit(f"bench-patcher: bench_patcher ended with {done.returncode}")
    return json.loads(done.stdout)


def ids_of(text):
    return [1] + [byte + 4 for byte in text.encode()] + [2]


def batches(documents, count):
    """Rows of ids, sorted by length and filled up with 0; attention is causal, so the filling changes nothing before it."""
    rows = sorted((ids_of(text) for text in documents), key=len)
    for i in range(0, len(rows), count):
        group = rows[i:i + count]
        yield torch.tensor([row + [0] * (len(group[-1]) - len(row)) for row in group])


@torch.no_grad()
def seconds_of(arguments, model, inputs):
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    start = clock()
    for ids in inputs:
        model(input_ids=ids)
    return clock() - start


@torch.no_grad()
def check(arguments, model, corpora):
    """Largest difference of the entropies, under transformers' own attention."""
    found = ours(arguments, ["--dtype", "float32", "--compat", "hf", "--entropies"])["entropies"]["float32"]
    worst = 0
    for name, documents in corpora.items():
        for text, values in zip(documents[:8], found[name]):
            worst = max(worst, (model(input_ids=torch.tensor([ids_of(text)]))[0][0] - torch.tensor(values)).abs().max().item())
    return worst


def cpu_facts(name):
    with open("/proc/cpuinfo") as f:
        return next((line.split(":", 1)[1].strip() for line in f if line.startswith(name)), "unknown")


def has_bfloat16():
    """Elsewhere transformers' products in bfloat16 are a thousand times slower than in float32."""
    return any(flag in cpu_facts("flags").split() for flag in ("avx512_bf16", "amx_bf16"))


def main():
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    logging.disable_progress_bar()
    model, corpora = prepare(arguments.work, arguments.documents)
    worst = check(arguments, model, corpora)
    if worst > 1e-4:
        sys.exit(f"bench-patcher: entropies differ by {worst}")
    models = {"float32": model}
    if "bfloat16" in arguments.dtype:
        models["bfloat16"] = BltPatcher.from_pretrained(os.path.join(arguments.work, "model"), dtype=torch.bfloat16).eval()
    positions = {name: sum(len(ids_of(text)) for text in documents) for name, documents in corpora.items()}
    ways = {"long": [1], "short": [1, 2, 8]}  # documents a batch
    padded = [torch.tensor([ids_of(text) + [0] * (PADDED - len(ids_of(text)))]) for text in corpora["short"][:1]]
    padded_positions = sum(len(ids_of(text)) for text in corpora["short"][:1])
    runs, rates = [], {}
    for round_ in range(arguments.rounds):
        print(f"bench-patcher: round {round_ + 1} of {arguments.rounds}", file=sys.stderr, flush=True)
        runs.append({(run["dtype"], run["corpus"]): run
                     for run in ours(arguments, [option for dtype in arguments.dtype for option in ("--dtype", dtype)])["runs"]})
        for dtype, peer in models.items():
            for name, documents in corpora.items():
                for way in ways[name]:
                    inputs = list(batches(documents, way))
                    if round_ == 0:
                        seconds_of(arguments, peer, inputs[:1])  # warm
                    rates.setdefault((dtype, name, way), []).append(positions[name] / seconds_of(arguments, peer, inputs))
            if not arguments.no_padded:
                rates.setdefault((dtype, "padded", 1), []).append(padded_positions / seconds_of(arguments, peer, padded))
    measured = ", the processes' own time" if arguments.cpu_time else ""
    print(f"{cpu_facts('model name')}, threads: {arguments.threads}, rounds in turns: {arguments.rounds}{measured}; entropies differ by at most {worst:.1e} in float32")
    print(f"{'dtype':<10}{'corpus':<8}{'blt kB/s':>10}{'GFLOP/s':>9}{'product':>9}{'share':>7}{'transformers kB/s':>19}{'a batch':>9}{'ratio':>7}"
          f"{'padded kB/s':>13}{'ratio':>7}")
    rows = []
    for dtype in arguments.dtype:
        peer_dtype = dtype if dtype in models else "float32"
        for name in corpora:
            middle = lambda key: statistics.median(run[dtype, name][key] for run in runs)
            rate = middle("positions_per_second")
            peer, way = max((statistics.median(rates[peer_dtype, name, way]), way) for way in ways[name])
            row = dict(dtype=dtype, corpus=name, bytes_per_second=rate, flops=rate * middle("flops_per_position"), product=middle("square_product_flops"),
                       share=middle("share_of_product"), transformers_bytes_per_second=peer, documents_a_batch=way, ratio=rate / peer)
            line = (f"{dtype:<10}{name:<8}{rate / 1e3:>10.2f}{row['flops'] / 1e9:>9.1f}{row['product'] / 1e9:>9.1f}{row['share']:>7.2f}"
                    f"{peer / 1e3:>19.2f}{way:>9}{row['ratio']:>7.2f}")
            if name == "short" and not arguments.no_padded:
                slow = statistics.median(rates[peer_dtype, "padded", 1])
                row.update(padded_bytes_per_second=slow, padded_ratio=rate / slow)
                line += f"{slow / 1e3:>13.3f}{rate / slow:>7.1f}"
            print(line)
            rows.append(row)
    if arguments.json:
        with open(arguments.json, "w") as f:
            json.dump(dict(processor=cpu_facts("model name"), threads=arguments.threads, rounds=arguments.rounds, rows=rows), f, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
