# SPDX-License-Identifier: MIT
# Wrong schemes, tokenizers and inputs, each one line.
. "$CLI_TESTS/lib.sh"
corpus
echo '{"model": {"type": "WordPiece"}}' > words.json
printf 'IQ== 0\nnonsense\n' > broken.tiktoken
head -c 3000 "$REPOSITORY/tests/data/tokenizers/small.json" > cut.json
unchanged blt-stats
unchanged blt-stats lengths
unchanged blt-stats lengths corpus.jsonl --nosuch
unchanged blt-stats lengths nosuch.jsonl
unchanged blt-stats lengths corpus.jsonl -s nosuch
unchanged blt-stats lengths corpus.jsonl -s strided:0
unchanged blt-stats lengths corpus.jsonl -s space:threshold=1
unchanged blt-stats lengths corpus.jsonl -s entropy:1.3
unchanged blt-stats lengths corpus.jsonl -t nosuch.tiktoken
unchanged blt-stats lengths corpus.jsonl -t broken.tiktoken:gpt2
unchanged blt-stats lengths corpus.jsonl -t "$REPOSITORY/tests/data/tokenizers/small.tiktoken"
unchanged blt-stats lengths corpus.jsonl -t "$REPOSITORY/tests/data/tokenizers/small.tiktoken:gpt5"
unchanged blt-stats lengths corpus.jsonl -t words.json
unchanged blt-stats lengths corpus.jsonl -t cut.json
