# SPDX-License-Identifier: MIT
# Rows of prompts: a line comes out for each, in order, as if it had been alone.
. "$CLI_TESTS/lib.sh"
model=$REPOSITORY/../shared/parity/hf/a_1b
[[ -d $model ]] || skip "no reference models"
python3 - <<'TXT'
import json
rows = [{"id": f"row-{i}", "prompt": "word " * (i % 5) + f"number {i}"} for i in range(9)]
rows[3]["seed"] = 11
rows[4] = {"prompt_base64": "Yf8="}
rows[5] = {"prompt": "", "id": {"n": 5}}
open("rows.jsonl", "w").write("\n\n".join(json.dumps(row) for row in rows) + "\n")
TXT
for options in "--seed 5" "--greedy" "--seed 5 --speculate latent --utf8" "--seed 5 --regex [a-z]{5,30}"; do
  blt-generate "$model" --prompts rows.jsonl -n 40 -q $options > out.jsonl
  blt-generate "$model" --prompts rows.jsonl -n 40 -q $options --batch 1 > one.jsonl
  gzip -c rows.jsonl | blt-generate "$model" --prompts - -n 40 -q $options --batch 4 > four.jsonl
  OPTIONS=$options MODEL=$model python3 - <<'TXT'
import base64, json, os, subprocess
text = lambda row: base64.b64decode(row["bytes_base64"]) if "bytes_base64" in row else row["text"].encode()
rows = [json.loads(line) for line in open("out.jsonl")]
others = [[text(json.loads(line)) for line in open(name)] for name in ("one.jsonl", "four.jsonl")]
print([row.get("id") for row in rows], all([text(row) for row in rows] == other for other in others))
alone = 0
for row in rows:
    prompt = base64.b64decode(row["prompt_base64"]) if "prompt_base64" in row else row["prompt"].encode()
    command = ["blt-generate", os.environ["MODEL"], "--prompt-file", "-", "-n", "40", "-q", "--raw", *os.environ["OPTIONS"].split()]
    if row["seed"] is not None: command += ["--seed", str(row["seed"])]
    alone += subprocess.run(command, input=prompt, capture_output=True, check=True).stdout == text(row)
print(alone, rows[3]["seed"])
TXT
done
told blt-generate "$model" --prompts rows.jsonl -n 4 --greedy -q -o told.jsonl
wc -l < told.jsonl
blt-generate "$model" --prompts rows.jsonl -n 100000 -q --greedy | head -c 1 | wc -c

unchanged blt-generate "$model" --prompts rows.jsonl -p x -q
unchanged blt-generate "$model" --prompts rows.jsonl --raw -q
unchanged blt-generate "$model" -p x --batch 2 -q
unchanged blt-generate "$model" --prompts nosuch.jsonl -q
: > empty.jsonl
unchanged blt-generate "$model" --prompts empty.jsonl -q
for row in '{"prompt": "a"' '["a"]' '{"text": "a"}' '{"prompt": 1}' '{"prompt_base64": "?"}' '{"prompt": "a", "seed": -1}'; do
  printf '{"prompt": "a"}\n%s\n' "$row" > bad.jsonl
  unchanged blt-generate "$model" --prompts bad.jsonl -q
done
