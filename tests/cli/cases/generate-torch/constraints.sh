# SPDX-License-Identifier: MIT
# A model of random weights writes what the constraint asks for, sampling and greedy.
. "$CLI_TESTS/lib.sh"
model=$REPOSITORY/tests/data/models/hf
generate() { blt-generate "$model" -p x -q "$@"; }
each() { generate -p 1 -p 2 -p 3 -p 4 -p 5 -p 6 -p 7 --seed 2 --json "$@"; }  # each prompt has its own choices

cat > check.py <<'TXT'
import base64, json, re, sys
def whole(t):  # the last character may be cut
    text = base64.b64decode(t["bytes_base64"]) if "bytes_base64" in t else t["text"].encode()
    cut = range(4 if t["finish_reason"] == "length" else 1)
    return any(text[:len(text) - n].decode(errors="replace").encode() == text[:len(text) - n] for n in cut)
what, told = sys.argv[1], [json.loads(line) for line in sys.stdin]
ends = sorted({t["finish_reason"] for t in told})
if what == "json":
    good = len([json.loads(t["text"]) for t in told if t["finish_reason"] != "length"]) > 0
elif what == "person":
    people = [json.loads(t["text"]) for t in told]
    good = all(list(p) in (["name", "age"], ["age"]) and 0 <= p["age"] <= 150 and len(p.get("name", "")) <= 5 for p in people)
elif what == "utf8":
    good = all(map(whole, told))
else:
    good = all(re.fullmatch(what, t["text"]) for t in told)
print(what, "good" if good else told, ends)
TXT
cat > person.json <<'TXT'
{"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "person", "type": "object",
 "properties": {"name": {"type": "string", "maxLength": 5}, "age": {"type": "integer", "minimum": 0, "maximum": 150}},
 "required": ["age"]}
TXT
each --grammar json | python3 check.py json
each --json-schema person.json | python3 check.py person
each --json-schema person.json --utf8 --ignore-eos --temperature 2 | python3 check.py person
each --regex '[0-9]{4}-(0[1-9]|1[0-2])' | python3 check.py '[0-9]{4}-(0[1-9]|1[0-2])'
each --choices 'yes|no|not sure' | python3 check.py 'yes|no|not sure'
each --utf8 -n 40 --temperature 2 | python3 check.py utf8
generate --greedy --choices 'yes|no|not sure'
generate --greedy --regex 'abc' -n 2
# A constraint holds for each text anew, and not for the prompt.
blt-generate "$model" -p one -p two --echo --greedy -q --choices 'a|b' | wc -l
