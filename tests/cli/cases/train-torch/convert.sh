# SPDX-License-Identifier: MIT
# Between layouts and back; what exists stays; a pickle that would run a command runs none.
. "$CLI_TESTS/lib.sh"
models=$REPOSITORY/tests/data/models
told blt-train convert "$models/meta" -o hf --to hf
told blt-train convert hf -o meta --to meta -q
told blt-train convert meta -o again --to hf -q
cmp hf/model.safetensors again/model.safetensors
cmp hf/config.json again/config.json
unchanged blt-train convert hf -o meta --to meta
unchanged blt-train convert hf -o dry --to meta-hub --dry-run
unchanged blt-train convert nosuch -o out --to hf
unchanged blt-train convert hf -o out --to gguf
small_disk small 100k
unchanged blt-train convert hf -o small/out --to meta

# Every program takes every layout, and gives the same.
echo 'Some text to look at.' > page.txt
for model in hf meta; do
  blt-stats trace "$model" page.txt -o "$model.st" -q
  blt-generate "$model" -p 'Some ' --greedy -n 12 --ignore-eos --raw -q > "$model.out"
  blt-patch page.txt -o "$model-shards" --entropy-model "$model" --threshold 2.9 -q > /dev/null
  blt-patch cat "$model-shards" > "$model.jsonl"
done
cmp hf.st meta.st
cmp hf.out meta.out
cmp hf.jsonl meta.jsonl

python3 - <<'PY'
import os, pickle, zipfile
class Harm:
    def __reduce__(self):
        return os.system, ("touch harm-was-done",)
with zipfile.ZipFile("meta/consolidated.pth", "w") as z:
    z.writestr("archive/data.pkl", pickle.dumps({"model": Harm()}, protocol=2))
with zipfile.ZipFile("meta/entropy_model/consolidated.pth", "w", zipfile.ZIP_DEFLATED) as z:
    z.writestr("archive/data.pkl", bytes(1 << 20))
PY
unchanged blt-generate meta -p x
unchanged blt-patch page.txt -o out --entropy-model meta/entropy_model --threshold 1
