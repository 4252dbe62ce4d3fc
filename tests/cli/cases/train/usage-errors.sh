# SPDX-License-Identifier: MIT
. "$CLI_TESTS/lib.sh"
unchanged blt-train
unchanged blt-train nosuch
unchanged blt-train entropy -o out
unchanged blt-train entropy --data corpus.txt
unchanged blt-train entropy --data corpus.txt -o out --preset huge
unchanged blt-train entropy --data corpus.txt -o out --no-such-option
unchanged blt-train entropy --data corpus.txt -o out --lr fast
printf 'learning_rat = 1\n' > unknown.toml
unchanged blt-train entropy --data corpus.txt -o out -c unknown.toml
