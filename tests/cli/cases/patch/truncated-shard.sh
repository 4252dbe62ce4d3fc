# SPDX-License-Identifier: MIT
. "$CLI_TESTS/lib.sh"
seq 1 3000 > numbers.txt
blt-patch numbers.txt --split-lines --scheme space -o shards -q
shard=$(basename shards/*.bltz)
truncate -s -100 "shards/$shard"
told blt-patch verify shards
told blt-patch cat shards
: > "shards/$shard"
told blt-patch verify shards
told blt-patch cat shards
rm "shards/$shard"
told blt-patch verify shards
told blt-patch cat shards
