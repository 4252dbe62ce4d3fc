# SPDX-License-Identifier: MIT
. "$CLI_TESTS/lib.sh"
corpus
unchanged blt-patch corpus.jsonl --scheme space -o out --dry-run -q
unchanged blt-patch nosuch.jsonl --scheme space -o out --dry-run
