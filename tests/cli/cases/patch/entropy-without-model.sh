# SPDX-License-Identifier: MIT
. "$CLI_TESTS/lib.sh"
corpus
unchanged blt-patch corpus.jsonl --scheme entropy --threshold 1.3 -o out
