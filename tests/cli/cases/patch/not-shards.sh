# SPDX-License-Identifier: MIT
# A corpus file, a folder of something else, and nothing at all in the place of shards.
. "$CLI_TESTS/lib.sh"
corpus
mkdir model && echo '{"model_type": "blt"}' > model/config.json
told blt-patch verify corpus.jsonl
told blt-patch verify model
told blt-patch verify nosuch
told blt-patch cat corpus.jsonl
told blt-patch cat model
told blt-patch cat nosuch
