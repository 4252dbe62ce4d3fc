# SPDX-License-Identifier: MIT
# Commands, choices and config files (lengths-errors.sh has the measures' own).
. "$CLI_TESTS/lib.sh"
corpus
unchanged blt-stats nosuch
unchanged blt-stats lengths corpus.jsonl --format xml
printf 'sheme = ["byte"]\n' > unknown.toml
unchanged blt-stats lengths corpus.jsonl -c unknown.toml
