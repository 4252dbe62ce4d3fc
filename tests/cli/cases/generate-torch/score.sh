# SPDX-License-Identifier: MIT
# Scores of texts, choices and continuations; bits per byte as blt-stats counts them.
. "$CLI_TESTS/lib.sh"
model=$REPOSITORY/tests/data/models/hf
score() { blt-generate score "$model" -q "$@"; }
shape() { sed -E -e 's/-?[0-9]+\.[0-9]+/x/g' -e 's/ +/ /g'; }  # figures are not the same to the last digit everywhere

printf 'The cat sat on the mat.\n' > a.txt
printf 'caf\xC3' > b.txt  # ends inside a character
cat > choices.jsonl <<'ROWS'
{"query": "The cat sat on the", "choices": ["mat.", "moon, which is far away.", "\u00e9"], "gold": 0}

{"query": "", "choices": ["a", "b"], "gold": 1}
ROWS
echo '{"context": "The cat sat on the", "continuation": "mat"}' | zstd -q > next.jsonl.zst
score a.txt b.txt choices.jsonl next.jsonl.zst -o rows | shape
cut -c 1-24 rows
score a.txt b.txt --json > texts.json
blt-stats bpb "$model" a.txt b.txt --format binary --json -q > bpb.json
cp -r "$model" score
blt-generate score ./score -q b.txt < /dev/null | shape
score - < a.txt > stdin
score < a.txt | cmp - stdin && echo "the same from standard input"
score --format jsonl --limit 1 --json < choices.jsonl > one.json
score --limit 1 --join ' ' choices.jsonl --eos --json > eos.json
python3 - <<'TXT'
import json
rows = [json.loads(line) for line in open("rows")]
texts, bpb = json.load(open("texts.json")), json.load(open("bpb.json"))
near = lambda a, b: abs(a - b) <= 1e-4 * abs(b)
print("as bpb:", near(-texts["all_texts"]["log_likelihood"], bpb["nats"]), near(texts["all_texts"]["bits_per_byte"], bpb["bits_per_byte"]))
print([row.get("line") for row in rows], [row["bytes"] for row in rows])
first = rows[2]
scores = first["log_likelihoods"]
print("choice:", first["choice"] == scores.index(max(scores)), "gold:", first["gold"])
one, eos = json.load(open("one.json")), json.load(open("eos.json"))
print("rows:", one["choices"][0]["rows"], "eos:", one["eos"], eos["eos"])
TXT
blt-generate ./score -p 'x' -n 0 -q --raw && echo "a prompt still works"
