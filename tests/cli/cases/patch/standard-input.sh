# SPDX-License-Identifier: MIT
# The same documents by file and by standard input, plain and compressed.
. "$CLI_TESTS/lib.sh"
corpus
blt-patch corpus.jsonl --scheme space -o by-file -q
blt-patch - --format jsonl --scheme space -o by-input -q < corpus.jsonl
zstd -q -c corpus.jsonl | blt-patch - --format jsonl --scheme space -o by-zstd -q
gzip -c corpus.jsonl | blt-patch - --format jsonl --scheme space -o by-gzip -q
blt-patch cat by-file
for other in by-input by-zstd by-gzip; do cmp <(blt-patch cat by-file) <(blt-patch cat "$other"); done
