# SPDX-License-Identifier: MIT
# Without --force nothing that exists is touched, be it shards or something else.
. "$CLI_TESTS/lib.sh"
corpus
blt-patch corpus.jsonl --scheme space -o out -q
unchanged blt-patch corpus.jsonl --scheme byte -o out
mkdir other && echo precious > other/file
unchanged blt-patch corpus.jsonl --scheme byte -o other
told blt-patch corpus.jsonl --scheme byte -o out --force -q
told blt-patch verify out
