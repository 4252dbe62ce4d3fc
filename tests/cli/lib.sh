# SPDX-License-Identifier: MIT
# Helpers of the cases; they read it with `. "$CLI_TESTS/lib.sh"`.
# shellcheck shell=bash

# told COMMAND...: runs it and tells its exit code, so that a case can look at what a refusal left behind.
told() {
  local code=0
  "$@" || code=$?
  echo "exit $code: ${1##*/}"
}

# told_to FILE COMMAND...: told, with the command's standard output going to FILE.
told_to() {
  local file=$1 code=0; shift
  "$@" > "$file" || code=$?
  echo "exit $code: ${1##*/}"
}

# Everything below the current folder, with sums: a refusal must leave it as it was.
tree_sum() { find . -type f ! -name '.*' -print0 | sort -z | xargs -0 -r sha256sum | sha256sum; }

# unchanged COMMAND...: told, and then whether files changed or appeared.
unchanged() {
  local before after
  before=$(tree_sum)
  told "$@"
  after=$(tree_sum)
  if [[ $before == "$after" ]]; then echo "nothing changed"; else echo "FILES CHANGED:"; find . -type f; fi
}

# same_json A B: whether two files hold the same JSON lines, however written; entropies count as float32.
same_json() {
  python3 - "$1" "$2" <<'TXT'
import json, struct, sys
def read(name):
    rows = [json.loads(line) for line in open(name, encoding="utf-8")]
    for row in rows:
        row["entropies"] = [struct.pack("f", value) for value in row.get("entropies", [])]
    return rows
print("the same" if read(sys.argv[1]) == read(sys.argv[2]) else "DIFFERENT")
TXT
}

skip() { echo "$*" >&2; exit 77; }

# flip FILE OFFSET: inverts one byte (a negative offset counts from the end).
flip() {
  local file=$1 offset=$2 byte
  if ((offset < 0)); then offset=$(($(stat -c %s "$file") + offset)); fi
  byte=$(od -An -tu1 -j "$offset" -N 1 "$file" | tr -d ' ')
  printf '%b' "\\x$(printf '%02x' $((byte ^ 255)))" | dd of="$file" bs=1 seek="$offset" conv=notrunc status=none
}

# small_disk FOLDER SIZE: mounts a tmpfs there, or skips the case. tests/cli/run unmounts "small".
small_disk() {
  mkdir -p "$1"
  mount -t tmpfs -o "size=$2" tmpfs "$1" 2>/dev/null || skip "mounting a small file system is not allowed here"
}

# corpus: four documents of JSON lines in corpus.jsonl.
corpus() {
  cat > corpus.jsonl <<'TXT'
{"id": "a", "lang": "en", "text": "The quick brown fox jumps over the lazy dog."}
{"id": "b", "lang": "en", "text": "Patches, not tokens."}
{"id": "c", "lang": "de", "text": "Bytes sind die Wahrheit: \u00e4\u00f6\u00fc."}
{"id": "d", "lang": "de", "text": ""}
TXT
}
