# SPDX-License-Identifier: MIT
# What a model of random weights writes: the forms of output agree with each other.
. "$CLI_TESTS/lib.sh"
model=$REPOSITORY/../shared/parity/hf/a_1b
[[ -d $model ]] || skip "no reference models"
generate() { blt-generate "$model" -n 40 -q "$@"; }
same() { if cmp -s "$1" "$2"; then echo "same: $1 $2"; else echo "DIFFERENT: $1 $2"; fi; }

generate -p 'Hello' --greedy --raw > raw
wc -c < raw
generate -p 'Hello' --temperature 0 --raw --engine exact > exact
same raw exact
printf 'Hello' | generate --greedy --raw > stdin
same raw stdin
printf 'Hello' > prompt.txt
generate --prompt-file prompt.txt --greedy --raw -o file
same raw file
unchanged blt-generate "$model" -p x -q -o file
generate -p 'Hello' --greedy --json > json
python3 - <<'TXT'
import base64, json
told = json.loads(open("json").read())
print(base64.b64decode(told["bytes_base64"]) == open("raw", "rb").read(), told["bytes"], told["finish_reason"], told["seed"])
TXT
generate -p 'Hello' --greedy > text
python3 -c 'print(open("text", "rb").read().decode() == open("raw", "rb").read().decode(errors="replace") + "\n")'
generate -p 'Hello' --seed 7 --raw > seven
generate -p 'Hello' --seed 7 --raw > again
generate -p 'Hello' --seed 8 --raw > eight
same seven again
same seven eight
generate -p one -p two --seed 7 --json | python3 -c 'import json, sys; print([json.loads(line)["prompt"] for line in sys.stdin])'
