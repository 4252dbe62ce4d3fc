# SPDX-License-Identifier: MIT
. "$CLI_TESTS/lib.sh"
seq 1 2000 | gzip -n > numbers.txt.gz
head -c 3000 numbers.txt.gz > cut.txt.gz
unchanged blt-patch cut.txt.gz --scheme space -o out
