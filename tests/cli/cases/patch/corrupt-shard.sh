# SPDX-License-Identifier: MIT
# One changed byte anywhere is found; cat stops with a line instead of giving wrong text.
. "$CLI_TESTS/lib.sh"
seq 1 3000 > numbers.txt
blt-patch numbers.txt --split-lines --scheme space -o shards -q
told blt-patch verify shards
shard=$(basename shards/*.bltz)
for offset in 0 200 -1 -20; do
  cp -r shards damaged
  flip "damaged/$shard" "$offset"
  told blt-patch verify damaged
  told_to /dev/null blt-patch cat damaged
  rm -r damaged
done
