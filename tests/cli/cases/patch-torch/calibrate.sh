# SPDX-License-Identifier: MIT
# Thresholds with intervals, and groups: of a corpus by --group-field, of shards by the groups that they hold.
. "$CLI_TESTS/lib.sh"
model=$REPOSITORY/tests/data/models/hf
seq 1 60 | python3 -c '
import json, sys
for line in sys.stdin: print(json.dumps({"id": line.strip(), "lang": "en" if int(line) % 2 else "de", "text": f"This is number {line}" * 9}))' > corpus.jsonl
cat > told.py <<'TXT'
import json, sys
for row in json.load(sys.stdin)["thresholds"]:
    if row["threshold"] is None:
        print(row["scheme"], row["wished"], "out of reach")
        continue
    inside = lambda key: row[key + "_interval"][0] <= row[key] <= row[key + "_interval"][1]
    print(row["scheme"], row["wished"], inside("threshold"), inside("patch_size"), [(group["group"], group["threshold_interval"][0] <= group["threshold"] <= group["threshold_interval"][1])
                                                                                 for group in row.get("groups", [])])
TXT
blt-patch calibrate corpus.jsonl -m "$model" -p 2,1000 -s entropy --json -q | python3 told.py
blt-patch calibrate corpus.jsonl -m "$model" -p 2 -s entropy --group-field lang --json -q | python3 told.py
blt-patch corpus.jsonl -m "$model" --threshold 1 --group-field lang --keep-entropies -o shards -q > /dev/null
blt-patch calibrate shards -p 2 -s monotonic --json -q | python3 told.py
blt-patch calibrate corpus.jsonl -m "$model" -p 2 -s entropy --compare-dtypes --json -q | python3 -c '
import json, sys
for item in json.load(sys.stdin)["dtypes"]:
    (cut,) = item["cuts"]
    print(item["dtype"], 0 < item["mean_difference"] < 0.1, cut["differing"] == round(cut["share"] * cut["boundaries"]), cut["share"] < 0.2)'
blt-patch calibrate corpus.jsonl -m "$model" -p 2 -s entropy --compare-dtypes -q | grep -cE '^(bfloat16|int8) +entropy +2 '
told blt-patch calibrate shards -p 2 --compare-dtypes
told blt-patch calibrate corpus.jsonl -m "$model" --dtype int8 --compare-dtypes
