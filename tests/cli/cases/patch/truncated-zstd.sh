# SPDX-License-Identifier: MIT
. "$CLI_TESTS/lib.sh"
seq 1 2000 | zstd -q > numbers.txt.zst
head -c 1000 numbers.txt.zst > cut.txt.zst
unchanged blt-patch cut.txt.zst --scheme space -o out
