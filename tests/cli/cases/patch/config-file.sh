# SPDX-License-Identifier: MIT
# Unknown keys and wrong types are refused with file and line; a flag beats the file.
. "$CLI_TESTS/lib.sh"
corpus
printf 'scheme = "space"\nsheme = "byte"\n' > unknown.toml
unchanged blt-patch corpus.jsonl -c unknown.toml -o out
printf 'scheme = 3\n' > type.toml
unchanged blt-patch corpus.jsonl -c type.toml -o out
printf 'scheme = "space\n' > broken.toml
unchanged blt-patch corpus.jsonl -c broken.toml -o out
unchanged blt-patch corpus.jsonl -c nosuch.toml -o out
printf 'scheme = "space"\nlevel = 5\n' > good.toml
blt-patch corpus.jsonl -c good.toml --scheme byte -o out --print-config | grep -E '^(scheme|level) '
