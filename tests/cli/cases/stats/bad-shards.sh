# SPDX-License-Identifier: MIT
. "$CLI_TESTS/lib.sh"
seq 1 3000 > numbers.txt
blt-patch numbers.txt --split-lines --scheme space -o shards -q > /dev/null
cp shards/manifest.json good.json
flip "$(echo shards/*.bltz)" 200
unchanged blt-stats lengths shards -s space -q
echo '{' > shards/manifest.json
unchanged blt-stats lengths shards -s space -q
unchanged blt-stats shards shards -q
unchanged blt-stats shards nosuch -q
