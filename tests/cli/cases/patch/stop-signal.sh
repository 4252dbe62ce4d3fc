# SPDX-License-Identifier: MIT
# SIGTERM while documents come in: no half-written shards, exit code 128 + 15.
. "$CLI_TESTS/lib.sh"
mkfifo pipe
blt-patch - --format text --split-lines --scheme space -o out -q < pipe &
program=$!
exec 3> pipe
seq 1 1000 >&3
sleep 0.5
kill -TERM "$program"
seq 1 1000 >&3 || true
exec 3>&-
code=0
wait "$program" || code=$?
echo "exit $code"
ls
