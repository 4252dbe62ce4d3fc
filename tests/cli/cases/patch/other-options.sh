# SPDX-License-Identifier: MIT
# A run that was cut off goes on with the same options only; --force begins anew.
. "$CLI_TESTS/lib.sh"
for i in 1 2 3; do seq 1 5000 > "$i.txt"; done
ln -s /proc/self/mem 4.txt
told blt-patch ?.txt --scheme space --shard-size 20k -q -o out
ls out.partial out.partial/shards
unchanged blt-patch ?.txt --scheme byte --shard-size 30k -q -o out
unchanged blt-patch 1.txt 2.txt --scheme space --shard-size 20k -q -o out
unchanged blt-patch ?.txt --scheme space --shard-size 20k -q -o out --dry-run
rm 4.txt && seq 1 9 > 4.txt
unchanged blt-patch ?.txt --scheme space --shard-size 20k -q -o out
told blt-patch ?.txt --scheme byte --shard-size 30k -q -o out --force
ls
