# SPDX-License-Identifier: MIT
# Constraints that cannot be are told before the model is looked at.
. "$CLI_TESTS/lib.sh"
refused() { unchanged blt-generate nosuch --prompt x "$@"; }
refused --regex 'a(b'
refused --regex '[a-z]{2}(?=x)'
refused --regex '[^\s\S]'
refused --choices 'a||b'
refused --utf8 --choices $'a|\xff'
refused --grammar yaml
refused --json-schema nosuch.json
refused --regex a --choices b
refused --grammar json --json-schema nosuch.json
echo '{"type": "object",' > broken.json
refused --json-schema broken.json
echo '{"type": "object", "properties": {"a": {"type": "integer", "multipleOf": 3}}}' > multiple.json
refused --json-schema multiple.json
echo '{"type": "array", "items": {"type": "string", "pattern": "\\bx"}}' > pattern.json
refused --json-schema pattern.json
echo '{"type": "object", "required": ["a"], "additionalProperties": false}' > nothing.json
refused --json-schema nothing.json
