# SPDX-License-Identifier: MIT
# Any file is legal data: every byte value, and zeros.
. "$CLI_TESTS/lib.sh"
python3 -c 'import sys; sys.stdout.buffer.write(bytes(range(256)) * 40 + bytes(5000))' > blob.bin
blt-patch blob.bin --scheme strided --patch-size 4 -o out -q
blt-patch cat out > out.jsonl
python3 - <<'TXT'
import base64, json
record = json.loads(open("out.jsonl").readline())
print(base64.b64decode(record["bytes_base64"]) == open("blob.bin", "rb").read())
TXT
told blt-patch verify out
