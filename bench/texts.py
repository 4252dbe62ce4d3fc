# SPDX-License-Identifier: MIT
"""Random texts, and the shape of the entropy model, that the benchmarks share."""
import numpy as np

PATCHER = dict(hidden_size=384, num_hidden_layers=6, num_attention_heads=6, intermediate_size=1024, max_position_embeddings=8192)


def words(random, size):
    letters = np.array(list("etaoinshrdlucmfwypvbgkjqxz"))
    share = 1 / np.arange(1, 27)
    out = ""
    while len(out) < size:
        out += "".join(random.choice(letters, random.integers(1, 10), p=share / share.sum())) + random.choice([" ", " ", " ", ", ", ".\n"])
    return out[:size]
