# SPDX-License-Identifier: MIT
# Shards as inputs, and their facts.
. "$CLI_TESTS/lib.sh"
corpus
blt-patch corpus.jsonl --scheme space -o shards --group-field lang -q > /dev/null
blt-stats shards shards -q | sed -E 's/^(files +1, ).*/\1<size>/'
blt-stats lengths shards -s byte -q
told blt-stats shards nosuch -q
told blt-stats shards . -q
