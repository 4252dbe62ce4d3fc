# SPDX-License-Identifier: MIT
# One line of 16 MiB is one document.
. "$CLI_TESTS/lib.sh"
{ printf '{"id": "long", "text": "'; head -c 16777216 /dev/zero | tr '\0' x; printf '"}\n'; } > long.jsonl
blt-patch long.jsonl --scheme strided --patch-size 8 -o out -q
told blt-patch verify out
blt-patch cat out | python3 -c 'import json, sys; print(len(json.loads(sys.stdin.readline())["text"]))'
