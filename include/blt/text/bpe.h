// SPDX-License-Identifier: MIT
// Byte-level BPE tokenizers: tiktoken rank files and Hugging Face tokenizer.json. Token counts
// equal those of the Python packages tiktoken (encode_ordinary) and tokenizers
// (add_special_tokens=False) on valid UTF-8.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace blt::text {

using Token = std::uint32_t;

// Names of the built-in split patterns of rank files: gpt2 (r50k, p50k), cl100k, llama3, o200k.
std::span<const std::string_view> split_names();

// A read-only tokenizer; any number of threads may share it, each with its own Encoder.
//
// Special and added tokens are ordinary text here: a corpus holds bytes, and "<|endoftext|>" in it
// is 13 of them.
class Tokenizer {
 public:
  // A tokenizer.json (told by a leading '{') or a rank file: "base64 rank" lines. `split` names a
  // rank file's pattern; "auto" chooses by the number of ranks (50256, 50257, 50280: gpt2; 100256:
  // cl100k; 128000: llama3; 199998, 200000: o200k). Errors: input (not such a file, not byte-level,
  // a part that is not supported), usage (unknown split).
  static std::shared_ptr<const Tokenizer> open(const std::string& path,
                                               const std::string& split = "auto");
  static std::shared_ptr<const Tokenizer> from_ranks(std::string_view file,
                                                     const std::string& split = "auto");
  static std::shared_ptr<const Tokenizer> from_json(std::string_view file);
  ~Tokenizer();

  std::size_t size() const;                   // tokens that text can give
  std::string_view bytes(Token token) const;  // errors: input (no such token)
  std::string decode(std::span<const Token> tokens) const;
  std::string split() const;  // "gpt2", ..., or "tokenizer.json"

  struct Impl;

 private:
  explicit Tokenizer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
  friend class Encoder;
};

// Encodes with a cache of pre-tokens seen before. One encoder is used by one thread.
class Encoder {
 public:
  explicit Encoder(std::shared_ptr<const Tokenizer> tokenizer);
  ~Encoder();
  Encoder(Encoder&&) noexcept;

  // Appends the text's tokens. Any bytes are legal: the maximal valid UTF-8 parts are split by the
  // pattern, every other byte is a pre-token of its own. Errors: resource (a text that the pattern
  // engine refuses).
  void encode(std::string_view text, std::vector<Token>& out);
  std::vector<Token> encode(std::string_view text);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace blt::text
