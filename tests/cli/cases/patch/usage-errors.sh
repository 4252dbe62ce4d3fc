# SPDX-License-Identifier: MIT
. "$CLI_TESTS/lib.sh"
corpus
unchanged blt-patch
unchanged blt-patch corpus.jsonl --scheme space
unchanged blt-patch corpus.jsonl --scheme space -o out --no-such-option
unchanged blt-patch corpus.jsonl --scheme nosuch -o out
unchanged blt-patch corpus.jsonl --scheme strided --patch-size -3 -o out
unchanged blt-patch corpus.jsonl --scheme strided --patch-size many -o out
unchanged blt-patch corpus.jsonl --scheme entropy --threshold 1 --patch-size 4 --entropy-model m -o out
unchanged blt-patch corpus.jsonl --scheme space --held-out 1.5 -o out
unchanged blt-patch corpus.jsonl --scheme space --threads nine -o out
unchanged blt-patch verify
