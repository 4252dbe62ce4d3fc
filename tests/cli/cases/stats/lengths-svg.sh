# SPDX-License-Identifier: MIT
# The drawing is well-formed XML and is not replaced without --force.
. "$CLI_TESTS/lib.sh"
corpus
blt-stats lengths corpus.jsonl -s space --svg lengths.svg -q > /dev/null
python3 -c 'import xml.dom.minidom; print(xml.dom.minidom.parse("lengths.svg").documentElement.tagName)'
unchanged blt-stats lengths corpus.jsonl -s byte --svg lengths.svg -q
unchanged blt-stats lengths corpus.jsonl -s byte --svg nosuch/lengths.svg -q
