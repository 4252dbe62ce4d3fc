# SPDX-License-Identifier: MIT
. "$CLI_TESTS/lib.sh"
((EUID != 0)) || skip "root may write anywhere"
corpus
mkdir -m 555 locked
unchanged blt-patch corpus.jsonl --scheme space -o locked/out
