# SPDX-License-Identifier: MIT
# Results that cannot be written are an error, not silence.
. "$CLI_TESTS/lib.sh"
[[ -w /dev/full ]] || skip "no /dev/full"
corpus
blt-patch corpus.jsonl --scheme space -o out -q
told_to /dev/full blt-patch cat out
told_to /dev/full blt-patch --help
