# SPDX-License-Identifier: MIT
. "$CLI_TESTS/lib.sh"
corpus
blt-patch corpus.jsonl --scheme space -o shards -q
cp shards/manifest.json good.json
rm shards/manifest.json
told blt-patch verify shards
: > shards/manifest.json
told blt-patch verify shards
head -c 40 good.json > shards/manifest.json
told blt-patch verify shards
echo '{}' > shards/manifest.json
told blt-patch verify shards
sed 's/"documents": 4/"documents": 5/' good.json > shards/manifest.json
told blt-patch verify shards
sed 's/shard-00000/..\/..\/shard-00000/' good.json > shards/manifest.json
told blt-patch verify shards
told blt-patch cat shards
