# SPDX-License-Identifier: MIT
# Nothing to do is an error: an empty file, folder or pipe is seldom what was meant.
. "$CLI_TESTS/lib.sh"
: > empty.jsonl
: > empty.txt
mkdir folder
unchanged blt-patch empty.jsonl --scheme space -o out-jsonl -q
unchanged blt-patch folder --scheme space -o out-folder -q
unchanged blt-patch - --format jsonl --scheme space -o out-stdin -q < /dev/null
unchanged blt-patch empty.txt --scheme space -o out-text -q
