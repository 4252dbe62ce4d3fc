# SPDX-License-Identifier: MIT
. "$CLI_TESTS/lib.sh"
model=$REPOSITORY/tests/data/models/hf
score() { unchanged blt-generate score "$model" "$@"; }
echo '{"query": "q", "choices": ["a", "b"], "gold": 1}' > good.jsonl
{ cat good.jsonl; echo '{"query": "q", "choices": ["a", ""], "gold": 1}'; cat good.jsonl; } > bad.jsonl
: > empty.txt
echo x > text
echo here > there
score nosuch.jsonl
score bad.jsonl
score text bad.jsonl --format jsonl
score empty.txt
score good.jsonl -o there
score good.jsonl --on-error stop
unchanged blt-generate score
unchanged blt-generate score nosuch good.jsonl
blt-generate score "$model" bad.jsonl --on-error skip --json -q > report || echo "exit $?"
grep '"rows"' report
told_to report blt-generate score "$model" bad.jsonl --limit 1 -q
