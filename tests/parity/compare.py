# SPDX-License-Identifier: MIT
"""Random BLT models of every variant through transformers and through blt-stats, blt-generate and blt-train convert.

For each variant: boundaries, entropies, logits and greedy text in float32; the model converted to Meta's layouts and back, and
back in transformers; and bfloat16 against float32. Exit code 1 when anything but the bfloat16 figures is off.
"""
import argparse
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from transformers import BltConfig, BltForCausalLM
from transformers.utils import logging

BOUND = 1e-4
GREEDY = 48

BASE = dict(
    vocab_size=260, cross_attn_k=2, patch_size=4, patching_mode="entropy", encoder_hash_byte_group_vocab=509,
    patcher_config=dict(hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96, max_position_embeddings=1024),
    encoder_config=dict(hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=96, hidden_size_global=64,
                        cross_attn_k=2, cross_attn_all_layers=False),
    decoder_config=dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96, hidden_size_global=64,
                        cross_attn_k=2, cross_attn_all_layers=True),
    global_config=dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=176),
)


def merged(base, **changes):
    out = {key: dict(value) if isinstance(value, dict) else value for key, value in base.items()}
    for key, value in changes.items():
        if isinstance(value, dict):
            out.setdefault(key, {}).update(value)
        else:
            out[key] = value
    return out


K4 = dict(cross_attn_k=4, encoder_config=dict(cross_attn_k=4, num_hidden_layers=2), decoder_config=dict(cross_attn_k=4))
GQA = dict(num_key_value_heads=2)
# name: (config, how it is stored, whether Meta's format can hold it)
VARIANTS = {
    "1b": (BASE, {}, True),
    "7b": (merged(BASE, **K4), {}, True),  # 4 x 32 != 64: the projection
    "encoder-layers": (merged(BASE, encoder_config=dict(num_hidden_layers=3, cross_attn_all_layers=True)), {}, True),
    "grouped-latent": (merged(BASE, global_config=GQA), {}, True),
    "grouped": (merged(BASE, encoder_config=GQA, decoder_config=GQA, global_config=GQA, patcher_config=GQA), {}, False),
    "hash-functions": (merged(BASE, encoder_hash_byte_group_size=[3, 5, 7], encoder_hash_byte_group_nb_functions=3), {}, True),
    "maximum": (merged(BASE, max_patch_length=6), {}, True),
    "bfloat16": (BASE, {"dtype": torch.bfloat16}, True),
    "float16": (BASE, {"dtype": torch.float16}, True),
    "sharded": (BASE, {"max_shard_size": "200KB"}, True),
    "bytes": (merged(BASE, patch_in_forward=False), {}, True),
    "decoder-first": (merged(BASE, decoder_config=dict(num_hidden_layers=3, cross_attn_all_layers=False)), {}, True),
}


def texts(random):
    letters = b"etaoinshrdlu ETAOIN,.\n"
    def words(n):
        return bytes(random.choice(list(letters), n).tolist())
    return {
        "english": b"It was the best of times, it was the worst of times, it was the age of wisdom.",
        "scripts": "naïve café – Привет, мир – 東京都 – हिन्दी – مرحبا – \U0001F600".encode(),
        "json": b'{"id": 7, "name": "x", "list": [1, 2.5, null, true], "text": "a\\nb"}\n' * 2,
        "source": b"def f(x):\n    return {k: v for k, v in x.items() if k}\n\nint main() { return 0; }\n",
        "random": bytes(random.integers(0, 256, 200).tolist()),
        "repeated": b"a" * 90,
        "one": b"q",
        "long": words(700),
    }


def run(*command):
    done = subprocess.run(command, capture_output=True)
    if done.returncode != 0:
        sys.exit(f"parity: {' '.join(map(str, command))} ended with {done.returncode}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


class Programs:
    def __init__(self, folder, work):
        self.folder, self.work = folder, work

    def trace(self, model, files, *options):
        out = os.path.join(self.work, "trace.safetensors")
        run(f"{self.folder}/blt-stats", "trace", model, *files, "--format", "binary", "-o", out, "-f", "-q", "--compat", "hf", *options)
        with safe_open(out, "pt") as f:
            return [{key: f.get_tensor(f"{i}.{key}") if f"{i}.{key}" in f.keys() else None
                     for key in ("ids", "entropies", "patch_lengths", "logits")} for i in range(len(files))]

    def greedy(self, model, files, *options):
        prompts = [word for file in files for word in ("--prompt-file", file)]
        lines = run(f"{self.folder}/blt-generate", model, *prompts, "--greedy", "-n", str(GREEDY), "--ignore-eos", "--json", "-q",
                    "--compat", "hf", *options).decode().splitlines()
        out = []
        for line in lines:
            record = json.loads(line)
            out.append(record["text"].encode() if "text" in record else base64.b64decode(record["bytes_base64"]))
        return out

    def convert(self, model, to):
        out = os.path.join(self.work, f"converted-{to}-{len(os.listdir(self.work))}")
        run(f"{self.folder}/blt-train", "convert", model, "-o", out, "--to", to, "-q")
        return out


def ids_of(text):
    return torch.tensor([[1] + [byte + 4 for byte in text]])


@torch.no_grad()
def reference(model, text):
    ids = ids_of(text)
    out = {"ids": ids[0], "entropies": None}
    if model.model.patcher is not None:
        c = model.config
        out["entropies"], lengths, _ = model.model.patcher(ids, patch_size=c.patch_size, threshold=c.patching_threshold,
                                                            max_patch_length=c.max_patch_length)
        out["entropies"], out["patch_lengths"] = out["entropies"][0].float(), lengths[0]
    else:
        out["patch_lengths"] = torch.ones(ids.shape[1] + 1)
    out["logits"] = model(input_ids=ids, use_cache=False).logits[0].float()
    return out


@torch.no_grad()
def reference_greedy(model, text):
    """Over bytes alone -> (bytes, smallest gap of the best two, smallest distance of an entropy to the threshold)."""
    ids, gap = ids_of(text), float("inf")
    for _ in range(GREEDY):
        logits = model(input_ids=ids, use_cache=False).logits[0, -1].float()
        logits[:4] = -float("inf")
        best = logits.topk(2).values
        gap = min(gap, float(best[0] - best[1]))
        ids = torch.cat([ids, logits.argmax().view(1, 1)], 1)
    margin = float("inf")
    if model.model.patcher is not None and ids.shape[1] > 1:
        entropies = model.model.patcher(ids)[0][0, 1:]
        margin = float((entropies - model.config.patching_threshold).abs().min())
    return bytes(int(i) - 4 for i in ids[0, ids.shape[1] - GREEDY:]), gap, margin


def starts(lengths, total):
    """Where patches start before the position `total`; the next byte's start included where it is told."""
    at = np.concatenate([[0], np.cumsum(np.asarray(lengths, dtype=np.int64))[:-1]])
    return sorted(int(s) for s in at if s <= total)


def spread_weights(model):
    """Random models are nearly uniform: larger weights make entropies and logits that differ."""
    for name, p in model.named_parameters():
        if p.dim() > 1:
            scale = 3.0 if name.endswith("lm_head.weight") else 2.0 if "embed" in name else 1.0
            p.data.normal_(0, scale * p.shape[-1] ** -0.5)
        else:
            p.data.normal_(1, 0.1)


@torch.no_grad()
def pick_threshold(model, documents):
    """In the widest gap of the entropies between their 60th and 80th percentiles."""
    values = torch.cat([model.model.patcher(ids_of(t))[0][0, 1:] for t in documents]).double().sort().values
    low, high = int(0.6 * len(values)), int(0.8 * len(values))
    gaps = values[low + 1:high] - values[low:high - 1]
    i = int(gaps.argmax())
    return float((values[low + i] + values[low + i + 1]) / 2)


def load_strictly(folder):
    model, info = BltForCausalLM.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    wrong = {kind: list(names) for kind, names in info.items() if names}
    if wrong:
        sys.exit(f"parity: transformers loads {folder} with {wrong}")
    return model.eval()


class Row:
    def __init__(self, name):
        self.name, self.boundaries, self.texts, self.logits, self.entropies, self.greedy, self.greedies = name, 0, 0, 0.0, 0.0, 0, 0
        self.gap, self.back, self.meta, self.flips, self.bf16_greedy, self.positions = float("inf"), 0.0, "-", 0, 0, 0

    def good(self):
        return (self.boundaries == self.texts and self.logits < BOUND and self.entropies < BOUND and self.greedy == self.greedies
                and self.back < BOUND and self.meta in ("-", "same"))


def compare(row, ours, theirs):
    total = len(theirs["ids"])
    assert torch.equal(ours["ids"], theirs["ids"])
    row.texts += 1
    row.boundaries += starts(ours["patch_lengths"], total) == starts(theirs["patch_lengths"], total)
    row.logits = max(row.logits, float((ours["logits"] - theirs["logits"]).abs().max()))
    if theirs["entropies"] is not None:
        row.entropies = max(row.entropies, float((ours["entropies"] - theirs["entropies"]).abs().max()))


def same_tensors(a, b):
    a, b = load_file(f"{a}/model.safetensors"), load_file(f"{b}/model.safetensors")
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) and a[key].dtype == b[key].dtype for key in a)


def check(name, seed, programs, work):
    config, stored, to_meta = VARIANTS[name]
    torch.manual_seed(seed)
    model = BltForCausalLM(BltConfig(**config)).eval()
    spread_weights(model)
    if "dtype" in stored:
        model = model.to(stored["dtype"]).float()  # the stored values, in float32
    documents = texts(np.random.default_rng(seed))
    if model.model.patcher is not None:
        model.config.patching_threshold = pick_threshold(model, documents.values())
    folder = os.path.join(work, "model")
    options = {"max_shard_size": stored["max_shard_size"]} if "max_shard_size" in stored else {}
    (model.to(stored["dtype"]) if "dtype" in stored else model).save_pretrained(folder, **options)
    model = load_strictly(folder)

    files = []
    for i, text in enumerate(documents.values()):
        files.append(os.path.join(work, f"{i:02}.bin"))
        with open(files[-1], "wb") as f:
            f.write(text)
    row = Row(name)
    all_texts = list(documents.values())
    theirs = [reference(model, text) for text in all_texts]
    ours = programs.trace(folder, files)
    for a, b in zip(ours, theirs):
        compare(row, a, b)
    prompts = [i for i, text in enumerate(all_texts) if len(text) < 150][:4]
    chosen = [reference_greedy(model, all_texts[i]) for i in prompts]
    mine = programs.greedy(folder, [files[i] for i in prompts])
    for (expected, gap, margin), got in zip(chosen, mine):
        row.greedies += 1
        row.greedy += expected == got
        row.gap = min(row.gap, gap, margin)

    # bfloat16 products against float32.
    narrow = programs.trace(folder, files, "--dtype", "bfloat16")
    for a, b in zip(ours, narrow):
        total = len(a["ids"])
        row.flips += len(set(starts(a["patch_lengths"], total)) ^ set(starts(b["patch_lengths"], total)))
        row.positions += total
    row.bf16_greedy = sum(a == b for a, b in zip(mine, programs.greedy(folder, [files[i] for i in prompts], "--dtype", "bfloat16")))

    # What we write: transformers reads it, gives the same logits, and misses nothing.
    written = programs.convert(folder, "hf")
    again = load_strictly(written)
    for text, expected in zip(all_texts, theirs):
        row.back = max(row.back, float((reference(again, text)["logits"] - expected["logits"]).abs().max()))
    if to_meta:
        row.meta = "same"
        for layout in ("meta", "meta-hub"):
            there = programs.convert(folder, layout)
            if not same_tensors(programs.convert(there, "hf"), written):
                row.meta = f"{layout} differs"
            for a, b in zip(programs.trace(there, files), ours):
                if not torch.equal(a["logits"], b["logits"]):
                    row.meta = f"{layout} logits"
            # The pickle is plain enough for torch's own restricted loader.
            if layout == "meta":
                torch.load(os.path.join(there, "consolidated.pth"), weights_only=True)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, help="folder of the programs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=1, help="seeds, counted up from --seed")
    parser.add_argument("--variants", default=",".join(VARIANTS))
    parser.add_argument("--keep", help="a folder for the models and traces, instead of a temporary one")
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    logging.disable_progress_bar()
    print(f"{'variant':<16}{'seed':>5}{'boundaries':>12}{'entropies':>11}{'logits':>10}{'greedy':>8}{'margin':>10}"
          f"{'written':>10}  {'Meta and back':<14}{'bf16 flips':>14}{'bf16 greedy':>12}")
    good = True
    for round_ in range(arguments.rounds):
        for name in arguments.variants.split(","):
            work = os.path.join(arguments.keep, f"{name}-{arguments.seed + round_}") if arguments.keep else tempfile.mkdtemp()
            os.makedirs(work, exist_ok=True)
            row = check(name, arguments.seed + round_, Programs(arguments.bin, work), work)
            if not arguments.keep:
                shutil.rmtree(work)
            good = good and row.good()
            print(f"{name:<16}{arguments.seed + round_:>5}{row.boundaries:>6} of {row.texts:<2}{row.entropies:>11.1e}{row.logits:>10.1e}"
                  f"{row.greedy:>4} of {row.greedies}{row.gap:>10.1e}{row.back:>10.1e}  {row.meta:<14}"
                  f"{f'{row.flips} of {row.positions}':>14}{f'{row.bf16_greedy} of {row.greedies}':>12}"
                  f"{'' if row.good() else '  <- off'}", flush=True)
    print("all equal" if good else "something is off")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
