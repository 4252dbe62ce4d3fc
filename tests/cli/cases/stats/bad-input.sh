# SPDX-License-Identifier: MIT
. "$CLI_TESTS/lib.sh"
corpus
unchanged blt-stats lengths nosuch.jsonl -s space -q
: > empty.jsonl
unchanged blt-stats lengths empty.jsonl -s space -q
gzip -n -c corpus.jsonl | head -c 60 > cut.jsonl.gz
unchanged blt-stats lengths cut.jsonl.gz -s space -q
sed -i '2s/.*/{"text": /' corpus.jsonl
unchanged blt-stats lengths corpus.jsonl -s space -q
told blt-stats lengths corpus.jsonl -s space --on-error skip -q
