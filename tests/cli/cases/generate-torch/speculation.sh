# SPDX-License-Identifier: MIT
# Drafts change how fast a text comes, not the text; what cannot be is refused.
. "$CLI_TESTS/lib.sh"
model=$REPOSITORY/../shared/parity/hf/a_1b
[[ -d $model ]] || skip "no reference models"
same() { if cmp -s "$1" "$2"; then echo "same: $1 $2"; else echo "DIFFERENT: $1 $2"; fi; }
generate() { blt-generate "$model" -p 'Hello' -n 200 --ignore-eos "$@"; }

generate --greedy --raw -q > plain
generate --greedy --raw -q --speculate latent > latent
same plain latent
generate --greedy --raw -q --speculate latent --draft 1 > one
same plain one
generate --greedy --raw -q --speculate lookup > lookup
same plain lookup
generate --greedy --raw -q --utf8 > utf8
generate --greedy --raw -q --utf8 --speculate latent --draft 9 > utf8-latent
same utf8 utf8-latent
generate --greedy --json -q --speculate latent | python3 -c '
import json, sys
drafts = json.load(sys.stdin)["drafts"]
print(sorted(drafts), drafts["passes"] < 199, 0 < drafts["accepted"] <= drafts["drafted"] <= drafts["guesses"])'
generate --greedy -v --speculate latent 2>&1 > /dev/null | grep -o 'bytes accepted\|bytes a pass\|of the local models alone'
generate --seed 4 --raw -q --speculate latent > seeded
generate --seed 4 --raw -q --speculate latent > again
same seeded again

unchanged blt-generate "$model" -p x -q --speculate heads
unchanged blt-generate "$model" -p x -q --speculate latent --engine exact
unchanged blt-generate "$model" -p x -q --draft 3
unchanged blt-generate "$model" -p x -q --speculate latent --draft 0
