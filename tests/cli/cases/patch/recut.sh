# SPDX-License-Identifier: MIT
. "$CLI_TESTS/lib.sh"
corpus
blt-patch corpus.jsonl --group-field lang --scheme space -o space -q
blt-patch recut space --scheme strided -o strided -q
blt-patch cat strided
python3 -c 'import json; print(json.load(open("strided/manifest.json"))["extra"]["cut_from"][0]["patching"]["scheme"])'
unchanged blt-patch recut space --scheme byte -o strided
unchanged blt-patch recut space --scheme byte -n -o new
unchanged blt-patch recut space -o new
unchanged blt-patch recut space --threshold 1.3 -o new
unchanged blt-patch recut space --scheme delimiter -o new
unchanged blt-patch recut corpus.jsonl --scheme space -o new
flip space/shard-00000.bltz 60
unchanged blt-patch recut space --scheme byte -f -o strided
