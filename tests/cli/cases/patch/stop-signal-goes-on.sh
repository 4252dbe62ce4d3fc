# SPDX-License-Identifier: MIT
# SIGTERM keeps the parts that are done; the same command does the rest.
. "$CLI_TESTS/lib.sh"
seq 1 3000000 > numbers.txt
options=(numbers.txt --split-lines --scheme space --shard-size 200k -q)
blt-patch "${options[@]}" -o expected
blt-patch "${options[@]}" -o out > /dev/null 2> told &
program=$!
until [[ -e out.partial/part-00003.json ]]; do sleep 0.01; done
kill -TERM "$program"
code=0
wait "$program" || code=$?
echo "exit $code"
sed -E 's/[0-9]+ of [0-9]+/<N> of <N>/' told
find out.partial -name '*.tmp-*'
told blt-patch "${options[@]}" -o out
diff -r expected out
ls
