# SPDX-License-Identifier: MIT
. "$CLI_TESTS/lib.sh"
unchanged blt-generate
unchanged blt-generate model --no-such-option
unchanged blt-generate model --prompt x -n many
unchanged blt-generate model --prompt x --temperature -1
unchanged blt-generate model --prompt x --top-p 2
