# SPDX-License-Identifier: MIT
# A run that a bad record stopped goes on once a file of the same size took its place, under another locale, time zone and times of files.
. "$CLI_TESTS/lib.sh"
mkdir corpus
for i in 1 2 3; do seq -f "{\"text\": \"number $i %g\"}" 1 2000 > "corpus/$i.jsonl"; done
run=(blt-patch corpus --scheme space --shard-size 30k -q)
"${run[@]}" -o expected
sed -i '1500s/}$/]/' corpus/3.jsonl
told "${run[@]}" -o out
ls out.partial/shards
sed -i '1500s/]$/}/' corpus/3.jsonl
touch -d 1999-12-31 corpus/1.jsonl
touch -d 2099-12-31 corpus/2.jsonl
told env LC_ALL=tr_TR.UTF-8 LANG=de_DE.UTF-8 TZ=Pacific/Kiritimati "${run[@]}" -o out
diff -r expected out
ls
