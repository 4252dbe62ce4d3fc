# SPDX-License-Identifier: MIT
# A limit on the size of files is one line and exit code 4, not a killed process; without it the same command goes on.
. "$CLI_TESTS/lib.sh"
python3 - <<'PY'
import random
random.seed(1)
for i, size in enumerate([20000, 20000, 200000, 20000]): open(f"noise-{i}.bin", "wb").write(random.randbytes(size))
PY
options=(noise-?.bin --scheme strided --patch-size 4 --shard-size 30k -q)
(ulimit -f 64; told blt-patch "${options[@]}" -o out)
told blt-patch "${options[@]}" -o out
blt-patch "${options[@]}" -o expected
diff -r expected out
