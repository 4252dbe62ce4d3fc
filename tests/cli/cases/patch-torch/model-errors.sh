# SPDX-License-Identifier: MIT
# Folders that are no byte LM, each with one line.
. "$CLI_TESTS/lib.sh"
corpus
patch=(blt-patch corpus.jsonl --scheme entropy --threshold 1.3 -o out)
unchanged "${patch[@]}" --entropy-model nosuch
mkdir empty
unchanged "${patch[@]}" --entropy-model empty
blt-patch corpus.jsonl --scheme space -o shards -q > /dev/null
unchanged "${patch[@]}" --entropy-model shards
mkdir llama broken
echo '{"architectures": ["LlamaForCausalLM"], "model_type": "llama"}' > llama/config.json
unchanged "${patch[@]}" --entropy-model llama
echo '{"model_type": ' > broken/config.json
unchanged "${patch[@]}" --entropy-model broken
