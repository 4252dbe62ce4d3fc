# SPDX-License-Identifier: MIT
# Bytes are the truth: text that is not UTF-8 comes back byte for byte.
. "$CLI_TESTS/lib.sh"
printf 'good \xff\xfe bad \xc3 end\n\xe2\x82' > odd.txt
blt-patch odd.txt --scheme space -o out -q
blt-patch cat out > out.jsonl
python3 - <<'TXT'
import base64, json
record = json.loads(open("out.jsonl").readline())
kept = base64.b64decode(record["bytes_base64"]) if "bytes_base64" in record else record["text"].encode()
print(kept == open("odd.txt", "rb").read())
TXT
told blt-patch verify out
