# SPDX-License-Identifier: MIT
# A model folder that is not there: one line, nothing written.
. "$CLI_TESTS/lib.sh"
corpus
code=0
blt-stats bpb nosuch corpus.jsonl 2> message || code=$?
if [[ $code == 3 || $code == 5 ]]; then echo "refused"; else echo "exit $code"; fi
grep -c '^blt-stats: error: ' message
code=0
blt-stats trace nosuch corpus.jsonl -o corpus.jsonl || code=$?
echo "exit $code"
unchanged blt-stats bpb nosuch corpus.jsonl --split half
unchanged blt-stats bpb nosuch corpus.jsonl --held-out 1.5
ls
