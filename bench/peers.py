# SPDX-License-Identifier: MIT
"""Greedy decoding here and in transformers, in turns: bytes a second by prompt length, and the ratio of the medians.

transformers runs with use_cache=False, its only exact way for BLT: every byte recomputes the text, so it writes few bytes.
Exit code 1 when the texts differ in float32.
"""
import argparse
import base64
import json
import os
import statistics
import subprocess
import sys
import time

import torch
from transformers import BltForCausalLM
from transformers.utils import logging


def parse_arguments():
    parser = argparse.ArgumentParser(prog="bench-peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--model", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="one round, fewer bytes")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="default: every CPU")
    parser.add_argument("--rounds", type=int, help="times that both run (default: 3)")
    parser.add_argument("--prompts", type=lambda text: [int(n) for n in text.split(",")], default=[64, 512, 2048], metavar="N,...",
                        help="prompt lengths in bytes (default: 64,512,2048)")
    parser.add_argument("--dtype", action="append", help="of our products; repeat it for more, measured in turns (default: float32)")
    parser.add_argument("--json", metavar="FILE", help="also write all figures")
    arguments = parser.parse_args()
    arguments.rounds = arguments.rounds or (1 if arguments.quick else 3)
    arguments.dtype = arguments.dtype or ["float32"]
    arguments.bytes, arguments.peer_bytes = (32, 4) if arguments.quick else (64, 8)
    return arguments


def ours(arguments, rounds=1):
    """{(dtype, prompt length): bench_generate's figures}"""
    command = [arguments.bench, arguments.model, "--prompt-file", os.path.join(arguments.model, "prompt.txt"), "--compat", "hf", "--json",
               "-j", str(arguments.threads), "-n", str(arguments.bytes), "--rounds", str(rounds),
               "--prompts", ",".join(map(str, arguments.prompts))]
    for dtype in arguments.dtype:
        command += ["--dtype", dtype]
    done = subprocess.run(command, stdout=subprocess.PIPE)
    if done.returncode != 0:
        sys.exit(f"bench-peers: bench_generate ended with {done.returncode}")
    return {(run["dtype"], run["prompt_bytes"]): run for run in json.loads(done.stdout)["runs"]}


@torch.no_grad()
def theirs(model, prompt, count):
    """-> (bytes, bytes a second)"""
    ids = torch.tensor([[1] + [byte + 4 for byte in prompt]])
    start = time.perf_counter()
    for _ in range(count):
        logits = model(input_ids=ids, use_cache=False).logits[0, -1]
        logits[:4] = -float("inf")
        ids = torch.cat([ids, logits.argmax().view(1, 1)], 1)
    seconds = time.perf_counter() - start
    return bytes(int(i) - 4 for i in ids[0, -count:]), count / seconds


def processor():
    with open("/proc/cpuinfo") as f:
        return next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), "unknown CPU")


def same_texts(arguments, ours_now, texts):
    """Our float32 text begins as theirs does; other types are told, not judged."""
    good = True
    for (dtype, length), run in ours_now.items():
        text = base64.b64decode(run["bytes_base64"])
        same = text.startswith(texts[length])
        if dtype == "float32":
            good = good and same
        if not same:
            print(f"{dtype} after {length} bytes: {text[:len(texts[length])]!r}, transformers {texts[length]!r}")
    return good


def main():
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    logging.disable_progress_bar()
    model = BltForCausalLM.from_pretrained(arguments.model, dtype=torch.float32).eval()
    with open(os.path.join(arguments.model, "prompt.txt"), "rb") as f:
        prompt = f.read()
    theirs(model, prompt[:64], 2)  # warm
    texts, rates, runs = {}, {length: [] for length in arguments.prompts}, []
    for round_ in range(arguments.rounds):
        print(f"bench-peers: round {round_ + 1} of {arguments.rounds}", file=sys.stderr, flush=True)
        runs.append(ours(arguments))
        for length in arguments.prompts:
            texts[length], rate = theirs(model, prompt[:length], arguments.peer_bytes)
            rates[length].append(rate)
        if round_ == 0 and not same_texts(arguments, runs[0], texts):
            sys.exit("bench-peers: the greedy texts differ")
    print(f"{processor()}, threads: {arguments.threads}, rounds in turns: {arguments.rounds}; greedy texts equal in float32")
    print(f"{'dtype':<10}{'prompt':>7}{'blt B/s':>10}{'transformers B/s':>18}{'ratio':>8}{'cost a byte':>13}{'prefill s':>11}{'limit':>7}")
    rows = []
    for dtype in arguments.dtype:
        first = None
        for length in arguments.prompts:
            middle = lambda key: statistics.median(run[dtype, length][key] for run in runs)
            rate, peer = middle("bytes_per_second"), statistics.median(rates[length])
            first = first or rate
            rows.append(dict(dtype=dtype, prompt_bytes=length, bytes_per_second=rate, transformers_bytes_per_second=peer, ratio=rate / peer,
                             cost_growth=first / rate, prefill_seconds=middle("prefill_seconds"), share_of_limit=middle("share_of_limit"),
                             bandwidth=middle("bandwidth"), weight_bytes_per_byte=middle("weight_bytes_per_byte")))
            print(f"{dtype:<10}{length:>7}{rate:>10.1f}{peer:>18.2f}{rate / peer:>8.1f}{first / rate:>12.2f}x{rows[-1]['prefill_seconds']:>11.2f}"
                  f"{rows[-1]['share_of_limit']:>7.2f}")
    print("cost a byte: beside that after the shortest prompt; limit: the share of what reading the weights allows")
    if arguments.json:
        with open(arguments.json, "w") as f:
            json.dump(dict(processor=processor(), threads=arguments.threads, rounds=arguments.rounds, rows=rows), f, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
