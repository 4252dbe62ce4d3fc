# SPDX-License-Identifier: MIT
# Between two runs a file shrank: an error that names it.
. "$CLI_TESTS/lib.sh"
seq -f '{"text": "number %g"}' 1 3000 > a.jsonl
seq -f '{"text": "number %g"}' 1 3000 > b.jsonl
echo bad >> b.jsonl
told blt-patch ?.jsonl --scheme space --shard-size 20k -q -o out
truncate -s 1000 a.jsonl
unchanged blt-patch ?.jsonl --scheme space --shard-size 20k -q -o out
