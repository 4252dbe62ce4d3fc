# SPDX-License-Identifier: MIT
# A token model's layers in a BLT, which then trains, with a rate of its own for them.
. "$CLI_TESTS/lib.sh"
corpus
told blt-train init-from "$REPOSITORY/tests/data/models/llama" -o start --hash-rows 100
blt-patch corpus.jsonl --scheme space -o shards -q > /dev/null
told blt-train blt --data shards --init start --latent-lr 0 --bytes 4k --batch-bytes 512 --sequence-length 128 --held-out 0 --warmup 0 -j 1 -o run -q
python3 - <<'PY'
import json, struct
def tensors(path):
    data = open(path, "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__", None)
    return {k: data[8 + size + v["data_offsets"][0]:8 + size + v["data_offsets"][1]] for k, v in header.items()}
a, b = tensors("start/model.safetensors"), tensors("run/model.safetensors")
latent = [k for k in a if k.startswith("model.global_transformer.layers.")]
matrices = [k for k in a if k not in latent and k.endswith("proj.weight")]
print("latent layers unchanged:", all(a[k] == b[k] for k in latent), "- others changed:", all(a[k] != b[k] for k in matrices))
PY
unchanged blt-train init-from "$REPOSITORY/tests/data/models/hf" -o out
unchanged blt-train init-from "$REPOSITORY/tests/data/models/llama" -o start
unchanged blt-train init-from "$REPOSITORY/tests/data/models/llama" -o out --cross-k 0
