# SPDX-License-Identifier: MIT
. "$CLI_TESTS/lib.sh"
seq 1 2000 | zstd -q --check > numbers.txt.zst
flip numbers.txt.zst -2
unchanged blt-patch numbers.txt.zst --scheme space -o out
