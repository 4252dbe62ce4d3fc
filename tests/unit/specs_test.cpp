// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include "blt/base/error.h"
#include "specs.h"

using namespace blt;
using namespace blt::stats;
using patch::Scheme;

TEST_CASE("scheme texts", "[specs]") {
  CHECK(parse_scheme_spec("space").rules.scheme == Scheme::space);
  CHECK(parse_scheme_spec("strided:6").rules.patch_size == 6);
  CHECK(parse_scheme_spec("topk:size=5.5").rules.patch_size == 5.5);
  CHECK(parse_scheme_spec("entropy:1.25").rules.threshold == 1.25);
  CHECK_FALSE(parse_scheme_spec("entropy:1.25").fit_size);
  const SchemeSpec combined = parse_scheme_spec("combined:1.5,add=0.25:max=16");
  CHECK(combined.rules.threshold == 1.5);
  CHECK(combined.rules.threshold_add == 0.25);
  CHECK(combined.rules.max_patch_length == 16);
  CHECK(combined.text == "combined:1.5,add=0.25:max=16");
  CHECK(parse_scheme_spec("monotonic:size=4.5").fit_size == 4.5);
  CHECK(parse_scheme_spec("entropy:threshold=-1e-3").rules.threshold == -1e-3);
}

TEST_CASE("wrong scheme texts are usage errors", "[specs]") {
  for (const char* text :
       {"", "spaces", "space:4", "strided:0", "strided:x", "strided:", "entropy:size=1",
        "entropy:add=1", "byte:max=0", "byte:max=1.5", "entropy:1.3nats", "entropy:nan",
        "entropy:what=1", "strided:threshold=2"}) {
    INFO(text);
    try {
      parse_scheme_spec(text);
      FAIL_CHECK("accepted");
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::usage);
    }
  }
}

TEST_CASE("tokenizer texts", "[specs]") {
  const auto check = [](const char* text, const char* name, const char* path, const char* split) {
    INFO(text);
    const TokenizerSpec spec = parse_tokenizer_spec(text);
    CHECK(spec.name == name);
    CHECK(spec.path == path);
    CHECK(spec.split == split);
  };
  check("gpt2.tiktoken", "gpt2", "gpt2.tiktoken", "auto");
  check("dir/llama3.tokenizer.model", "llama3.tokenizer", "dir/llama3.tokenizer.model", "auto");
  check("GPT-2=dir/r50k.tiktoken:gpt2", "GPT-2", "dir/r50k.tiktoken", "gpt2");
  check("dir=x/tokenizer.json", "dir", "x/tokenizer.json", "auto");
  check("./a=b/tokenizer.json", "tokenizer", "./a=b/tokenizer.json", "auto");
  check("C:dir/x.tiktoken", "x", "C:dir/x.tiktoken", "auto");
  CHECK_THROWS_AS(parse_tokenizer_spec("name="), Error);
  CHECK_THROWS_AS(parse_tokenizer_spec(""), Error);
}
