# SPDX-License-Identifier: MIT
# The shards do not depend on the number of threads.
seq 1 600000 > numbers.txt
for threads in 1 2 3; do
  blt-patch numbers.txt --split-lines --scheme space --shard-size 1M -o "out-$threads" -j "$threads" -q > /dev/null
done
find out-1 -name '*.bltz' | sort
diff -r out-1 out-2
diff -r out-1 out-3
