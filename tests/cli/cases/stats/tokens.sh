# SPDX-License-Identifier: MIT
# Token ids; bytes that are no UTF-8 are tokens of their own.
. "$CLI_TESTS/lib.sh"
corpus
blt-stats tokens corpus.jsonl -t "$REPOSITORY/tests/data/tokenizers/small.json"
printf 'a\377b' > bad.txt
blt-stats tokens bad.txt -t "$REPOSITORY/tests/data/tokenizers/small.tiktoken:llama3"
blt-stats tokens corpus.jsonl -t "$REPOSITORY/tests/data/tokenizers/small.json" | head -n 1 > /dev/null
