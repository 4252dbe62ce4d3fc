# SPDX-License-Identifier: MIT
# Everything is checked before long work; what exists stays.
. "$CLI_TESTS/lib.sh"
corpus
unchanged blt-train entropy --data nosuch.txt -o out
mkdir exists && echo precious > exists/file
unchanged blt-train entropy --data corpus.jsonl -o exists
unchanged blt-train entropy --data corpus.jsonl -o nosuch/out
unchanged blt-train entropy --data corpus.jsonl -o out --resume -q
unchanged blt-train blt --data corpus.jsonl -o out
unchanged blt-train blt --data nosuch -o out
: > empty.jsonl
unchanged blt-train entropy --data empty.jsonl -o out
sed -i '3s/.*/{"text": /' corpus.jsonl
unchanged blt-train entropy --data corpus.jsonl -o out
