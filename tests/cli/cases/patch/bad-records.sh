# SPDX-License-Identifier: MIT
# Valid JSON that is no document.
. "$CLI_TESTS/lib.sh"
echo '["a", "list"]' > list.jsonl
unchanged blt-patch list.jsonl --scheme space -o out
echo '{"text": 7}' > number.jsonl
unchanged blt-patch number.jsonl --scheme space -o out
echo '{"body": "x"}' > other.jsonl
unchanged blt-patch other.jsonl --scheme space -o out
unchanged blt-patch other.jsonl --field nosuch --scheme space -o out
told blt-patch other.jsonl --field body --scheme space -o out -q
