// SPDX-License-Identifier: MIT
// Tokenizer files of any bytes; what is accepted encodes and decodes to the same text.
#include "blt/base/error.h"
#include "blt/text/bpe.h"
#include "target.h"

namespace {

template <class Make>
void try_tokenizer(const Make& make) {
  try {
    const auto tokenizer = make();
    blt::text::Encoder encoder(tokenizer);
    const std::string text = "aab ab\xff b";
    const auto tokens = encoder.encode(text);
    blt::fuzz::require(tokenizer->decode(tokens) == text);
  } catch (const blt::Error& error) {
    blt::fuzz::require(error.kind() == blt::ErrorKind::input || error.kind() == blt::ErrorKind::usage);
  }
}

std::string base64(unsigned value) {
  static constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  return {digits[value >> 2 & 63], digits[value << 4 & 63], '=', '='};
}

}  // namespace

std::vector<std::string> blt::fuzz::seeds() {
  std::string ranks;
  for (unsigned i = 0; i < 256; ++i) ranks += base64(i) + " " + std::to_string(i) + "\n";
  return {ranks + "YWE= 256\nYWFi 257\n",
          R"({"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]},)"
          R"("pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false},"decoder":{"type":"ByteLevel"}})"};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = blt::fuzz::view(data, size);
  try_tokenizer([&] { return blt::text::Tokenizer::from_ranks(text, "gpt2"); });
  try_tokenizer([&] { return blt::text::Tokenizer::from_json(text); });
  return 0;
}
