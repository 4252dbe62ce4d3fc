# SPDX-License-Identifier: MIT
# Entropies kept as float32 give the model's boundaries again, without the model; another reader reads both types.
. "$CLI_TESTS/lib.sh"
seq 1 2000 > numbers.txt
for type in float16 float32; do
  blt-patch numbers.txt -m "$REPOSITORY/tests/data/models/hf" --patch-size 3 --keep-entropies --entropy-type "$type" -o "$type" -q --json > report
  blt-patch cat --entropies "$type" > ours
  "$REPOSITORY/scripts/read-shards.py" --entropies "$type" > theirs
  same_json ours theirs
done
threshold=$(python3 -c 'import json; print(json.load(open("report"))["patching"]["threshold"])')
blt-patch recut float32 --threshold "$threshold" -o again -q > /dev/null
cmp float32/shard-00000.bltz again/shard-00000.bltz
blt-patch recut float16 --scheme monotonic --patch-size 4 --json -o larger -q > larger.json
python3 -c 'import json; print(abs(json.load(open("larger.json"))["mean_patch_size"] - 4) < 0.04)'
told_to verified blt-patch verify float16 float32 larger
told blt-patch recut float16 --threshold 1 --newline-reset -o reset
told blt-patch numbers.txt --scheme space --entropy-type float32 -o space
