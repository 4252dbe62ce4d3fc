# SPDX-License-Identifier: MIT
# An input that is not there; the output folder must not appear.
. "$CLI_TESTS/lib.sh"
unchanged blt-patch nosuch.jsonl --scheme space -o out
