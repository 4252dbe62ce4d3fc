# SPDX-License-Identifier: MIT
# The disk is full after some parts: they stay, and once there is room the same command does the rest, byte for byte.
. "$CLI_TESTS/lib.sh"
small_disk small 1m
python3 - <<'PY'
import random
random.seed(1)
for i in range(8): open(f"noise-{i}.bin", "wb").write(random.randbytes(70000))
PY
head -c 700000 /dev/zero > small/filler
run() { blt-patch noise-*.bin --scheme strided --patch-size 4 --shard-size 64k -q -o "$1"; }
told run small/out 2>&1 | sed -E 's/shard-0000[0-9]\.bltz|part-0000[0-9]\.json|[0-9] of 8/<N>/g'
ls small
rm small/filler
told run small/out
told run expected
diff -r expected small/out
ls small
