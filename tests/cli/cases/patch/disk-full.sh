# SPDX-License-Identifier: MIT
# A file system of 256 KiB cannot hold the shards: one line, exit code 4, and what was there stays.
. "$CLI_TESTS/lib.sh"
small_disk small 256k
echo precious > small/file
python3 -c 'import random; random.seed(1); open("noise.bin", "wb").write(random.randbytes(2000000))'
unchanged blt-patch noise.bin --scheme strided --patch-size 4 -o small/out
ls -A small
