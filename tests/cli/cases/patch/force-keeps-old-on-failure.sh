# SPDX-License-Identifier: MIT
# --force replaces at the end only: when the input turns out bad, the earlier shards are still there.
. "$CLI_TESTS/lib.sh"
corpus
blt-patch corpus.jsonl --scheme space -o out -q
echo 'broken' >> corpus.jsonl
unchanged blt-patch corpus.jsonl --scheme byte -o out --force
told blt-patch verify out
