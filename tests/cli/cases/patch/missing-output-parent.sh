# SPDX-License-Identifier: MIT
. "$CLI_TESTS/lib.sh"
corpus
unchanged blt-patch corpus.jsonl --scheme space -o nosuch/out
