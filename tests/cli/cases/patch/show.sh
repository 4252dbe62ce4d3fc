# SPDX-License-Identifier: MIT
. "$CLI_TESTS/lib.sh"
corpus
blt-patch show corpus.jsonl --scheme space
blt-patch show corpus.jsonl --scheme space --json --limit 1
blt-patch show corpus.jsonl --scheme strided --patch-size 6 --color always --limit 2
