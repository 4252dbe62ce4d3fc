# SPDX-License-Identifier: MIT
"""Makes the benchmarks' model: random weights of 294 M parameters (154 M of them hash rows), and a prompt.

make_model.py FOLDER BENCH_GENERATE

The threshold is the one under which greedy text has about PATCH_SIZE bytes a patch: a random model repeats itself, so the patches of
the prompt would say little about those of the text. The file "ready" is written last.
"""
import json
import os
import subprocess
import sys

import numpy as np
import torch
from transformers import BltConfig, BltForCausalLM
from transformers.utils import logging

from texts import PATCHER, words

CONFIG = dict(
    encoder_hash_byte_group_vocab=50021, encoder_hash_byte_group_size=[3, 4, 5, 6, 7, 8], cross_attn_k=2, max_position_embeddings=8192,
    patcher_config=PATCHER,
    encoder_config=dict(hidden_size=512, num_hidden_layers=1, num_attention_heads=8, intermediate_size=1408, hidden_size_global=1024,
                        cross_attn_k=2, cross_attn_all_layers=False),
    global_config=dict(hidden_size=1024, num_hidden_layers=8, num_attention_heads=8, intermediate_size=2816),
    decoder_config=dict(hidden_size=512, num_hidden_layers=5, num_attention_heads=8, intermediate_size=1408, hidden_size_global=1024,
                        cross_attn_k=2, cross_attn_all_layers=True),
)
PATCH_SIZE = 4.5


@torch.no_grad()
def make(folder):
    """-> thresholds to try"""
    logging.disable_progress_bar()
    torch.manual_seed(0)
    model = BltForCausalLM(BltConfig(**CONFIG)).eval()
    for name, p in model.named_parameters():
        # Wider than the default, so that greedy choices do not hang on rounding.
        if p.dim() > 1:
            p.normal_(0, p.shape[-1] ** -0.5 * (3 if "lm_head" in name else 1))
    model.save_pretrained(folder)
    prompt = words(np.random.default_rng(1), 8192)
    with open(os.path.join(folder, "prompt.txt"), "w") as f:
        f.write(prompt)
    ids = torch.tensor([[1] + [byte + 4 for byte in prompt[:2047].encode()]])
    entropies = model.model.patcher(ids)[0][0, 1:].sort().values
    return [float(entropies[int(len(entropies) * q / 100)]) for q in range(68, 100, 3)]


def set_threshold(folder, threshold):
    path = os.path.join(folder, "config.json")
    with open(path) as f:
        config = json.load(f)
    config["patching_threshold"] = threshold
    with open(path, "w") as f:
        json.dump(config, f, indent=2)


def patch_size(folder, bench):
    """Bytes a patch of greedy text, over the prompts that bench_generate takes by default."""
    done = subprocess.run([bench, folder, "--prompt-file", f"{folder}/prompt.txt", "--compat", "hf", "--rounds", "1", "--json"],
                          stdout=subprocess.PIPE, check=True)
    runs = json.loads(done.stdout)["runs"]
    return len(runs) / max(sum(run["patches_per_byte"] for run in runs), 1e-9)


def main(folder, bench):
    sizes = {}
    for threshold in make(folder):
        set_threshold(folder, threshold)
        sizes[threshold] = patch_size(folder, bench)
        print(f"threshold {threshold:.4f}: {sizes[threshold]:.2f} bytes a patch", file=sys.stderr, flush=True)
    set_threshold(folder, min(sizes, key=lambda threshold: abs(1 / sizes[threshold] - 1 / PATCH_SIZE)))
    open(os.path.join(folder, "ready"), "w").close()


if __name__ == "__main__":
    main(*sys.argv[1:])
