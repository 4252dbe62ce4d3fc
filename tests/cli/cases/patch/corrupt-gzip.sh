# SPDX-License-Identifier: MIT
. "$CLI_TESTS/lib.sh"
seq 1 2000 | gzip -n > numbers.txt.gz
flip numbers.txt.gz -6
unchanged blt-patch numbers.txt.gz --scheme space -o out
