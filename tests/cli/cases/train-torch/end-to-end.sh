# SPDX-License-Identifier: MIT
# The whole way on a small text: byte LM, patches, BLT, samples, bits per byte. Then damage to what it made.
. "$CLI_TESTS/lib.sh"
python3 - <<'TXT'
import json
with open("corpus.jsonl", "w") as out:
    for i in range(60):
        out.write(json.dumps({"id": f"doc-{i}", "text": " ".join(f"line {j} of {i}" for j in range(40))}) + "\n")
TXT
options=(--batch-bytes 2k --sequence-length 1k --held-out 0.2 --seed 1 -q)
blt-train entropy --data corpus.jsonl --bytes 8k -o lm "${options[@]}"
blt-patch corpus.jsonl --scheme entropy --entropy-model lm --patch-size 4.5 -o shards -q > /dev/null
told blt-patch verify shards | tail -n 1
blt-train blt --data shards --bytes 8k -o blt "${options[@]}"
for model in lm blt; do
  blt-generate "$model" --prompt "line 1" -n 40 --seed 3 --raw -q > once.txt
  blt-generate "$model" --prompt "line 1" -n 40 --seed 3 --raw -q > again.txt
  cmp once.txt again.txt
  [[ -s once.txt ]] && echo "$model: the same text twice"
  blt-stats bpb "$model" corpus.jsonl --held-out 0.2 --split held-out --json -q |
    python3 -c 'import json, sys; print(2 < json.load(sys.stdin)["bits_per_byte"] < 9)'
done

# A finished run refuses to be overwritten, and to be resumed as another run.
unchanged blt-train entropy --data corpus.jsonl --bytes 8k -o lm "${options[@]}"
told blt-train entropy --data corpus.jsonl --bytes 8k -o lm "${options[@]}" --seed 2 --resume > /dev/null 2> other-run || true
grep -c 'seed: 1 -> 2' other-run

# Shards that remember another entropy model, and a model file that is cut off or claims too much.
cp -rL lm damaged
truncate -s -1000 damaged/model.safetensors
told blt-generate damaged --prompt x -n 1 -q
python3 - <<'TXT'
data = bytearray(open("lm/model.safetensors", "rb").read())
data[0:8] = (1 << 60).to_bytes(8, "little")
open("damaged/model.safetensors", "wb").write(data)
TXT
told blt-generate damaged --prompt x -n 1 -q
told blt-patch corpus.jsonl --scheme entropy --threshold 1 --entropy-model damaged -o out -q
