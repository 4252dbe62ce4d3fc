# SPDX-License-Identifier: MIT
. "$CLI_TESTS/lib.sh"
echo '{"tokens": [1, 101, 102], "entropies": [0.5, 2.5]}' > counts.jsonl
told blt-patch cut counts.jsonl --scheme entropy --threshold 1
echo '{"tokens": [1, 101, 999], "entropies": [0.5, 2.5, 1]}' > range.jsonl
told blt-patch cut range.jsonl --scheme entropy --threshold 1
echo '{"tokens": [1, 101, 102], "entropies": [0.5, "x", 1]}' > type.jsonl
told blt-patch cut type.jsonl --scheme entropy --threshold 1
echo '{"tokens": [1, 101, 102]}' > none.jsonl
told blt-patch cut none.jsonl --scheme entropy --threshold 1
echo '{"tokens": [' > broken.jsonl
told blt-patch cut broken.jsonl --scheme space
echo '{"tokens": [1, 101, 102], "entropies": [0.5, 2.5, 0.1]}' | blt-patch cut --scheme entropy --threshold 1
