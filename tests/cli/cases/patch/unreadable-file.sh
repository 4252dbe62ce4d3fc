# SPDX-License-Identifier: MIT
# A file in the middle cannot be read: an error that names it; with --on-error skip it is left out, counted and listed.
. "$CLI_TESTS/lib.sh"
mkdir corpus
echo one > corpus/a.txt
ln -s /proc/self/mem corpus/b.txt
seq 1 20000 | gzip | head -c 9000 > corpus/c.txt.gz
echo three > corpus/d.txt
echo '{"text": 3}' > corpus/e.jsonl
unchanged blt-patch corpus --scheme space -q -o out
told blt-patch corpus --scheme space -q -o out --on-error skip
told blt-patch corpus --scheme space -v --progress off -o out --on-error skip --force
blt-patch cat out
python3 -c 'import json; extra = json.load(open("out/manifest.json"))["extra"]; print(extra["skipped"], *extra["skipped_records"], sep="\n")'
