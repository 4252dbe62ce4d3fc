# SPDX-License-Identifier: MIT
# Patches and tokens of a small corpus, by group.
. "$CLI_TESTS/lib.sh"
corpus
blt-stats lengths corpus.jsonl -s space -s strided:4 -s byte --group-field lang -q \
  -t small="$REPOSITORY/tests/data/tokenizers/small.tiktoken:gpt2" -t json="$REPOSITORY/tests/data/tokenizers/small.json"
blt-stats lengths - -q --format jsonl < corpus.jsonl
blt-stats lengths corpus.jsonl -s delimiter --json -q | tail -n 3
