# SPDX-License-Identifier: MIT
# The message names file and line; --on-error skip goes on, tells, and ends with 1.
. "$CLI_TESTS/lib.sh"
corpus
sed -i '3s/.*/{"id": "c", "text": "not closed/' corpus.jsonl
unchanged blt-patch corpus.jsonl --scheme space -o out
told blt-patch corpus.jsonl --scheme space -o out --on-error skip -q
blt-patch cat out
