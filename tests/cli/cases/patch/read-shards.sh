# SPDX-License-Identifier: MIT
# Readers that are not blt-patch: the script that knows docs/format.md alone, and the document's own example.
. "$CLI_TESTS/lib.sh"
corpus
# Documents of more than a block's size.
seq 1 200000 > numbers.txt
head -c 1200000 /dev/zero | tr '\0' '\377' > binary.txt
blt-patch corpus.jsonl --group-field lang --scheme space -o documents -q > /dev/null
blt-patch numbers.txt binary.txt corpus.jsonl --scheme strided --patch-size 300 -o blocks -q > /dev/null
blt-patch numbers.txt binary.txt --scheme strided --patch-size 300 --shard-size 1MiB -o several -q > /dev/null
for shards in documents blocks several several/shard-00001.bltz; do
  blt-patch cat "$shards" > ours
  "$REPOSITORY/scripts/read-shards.py" "$shards" > theirs
  echo "$shards: $(wc -l < ours) documents"
  same_json ours theirs
done
"$(dirname "$(command -v blt-patch)")/../tests/shard_example" documents
cp -r documents damaged
flip damaged/shard-00000.bltz 60
told "$REPOSITORY/scripts/read-shards.py" damaged 2> /dev/null
