# SPDX-License-Identifier: MIT
. "$CLI_TESTS/lib.sh"
unchanged blt-generate nosuch --prompt x
mkdir empty llama broken
unchanged blt-generate empty --prompt x
echo '{"architectures": ["LlamaForCausalLM"], "model_type": "llama"}' > llama/config.json
unchanged blt-generate llama --prompt x
echo '{"model_type": ' > broken/config.json
unchanged blt-generate broken --prompt x
