# SPDX-License-Identifier: MIT
# A reader that leaves is no error.
. "$CLI_TESTS/lib.sh"
seq 1 50000 > numbers.txt
blt-patch numbers.txt --split-lines --scheme space -o out -q
set +o pipefail
blt-patch cat out | head -n 1
blt-patch cat out 2>stderr | head -n 1 > /dev/null
code=${PIPESTATUS[0]}
echo "exit $code"
cat stderr
