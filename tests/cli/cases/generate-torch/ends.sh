# SPDX-License-Identifier: MIT
# A reader that leaves is no error, a full disk is one, and a signal ends the text in good order.
. "$CLI_TESTS/lib.sh"
model=$REPOSITORY/../shared/parity/hf/a_1b
[[ -d $model ]] || skip "no reference models"
endless=(blt-generate "$model" -p x -n 1G --ignore-eos --seed 1 -q)
set +o pipefail
"${endless[@]}" | head -c 100 > /dev/null
echo "reader left: ${PIPESTATUS[0]}"
code=0
"${endless[@]}" > /dev/full || code=$?
echo "disk full: $code"
"${endless[@]}" > text &
until [[ -s text ]]; do sleep 0.1; done
kill -TERM $!
code=0
wait $! || code=$?
echo "signal: $code"
