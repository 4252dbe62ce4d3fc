// SPDX-License-Identifier: MIT
#include "blt/text/bpe.h"

#include "blt/base/error.h"
#include "blt/base/files.h"
#include "blt/text/utf8.h"
#include "tokenizer_impl.h"

namespace blt::text {

void Tokenizer::Impl::index_bytes() {
  for (int byte = 0; byte < 256; ++byte) {
    const char text = static_cast<char>(byte);
    const auto found = tokens.find(std::string_view(&text, 1));
    if (found == tokens.end()) {
      throw input_error(
          cat("no token for the single byte ", byte, ": this vocabulary cannot write every text"));
    }
    byte_tokens[static_cast<std::size_t>(byte)] = found->second;
  }
}

Tokenizer::Tokenizer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::~Tokenizer() = default;

std::shared_ptr<const Tokenizer> Tokenizer::open(const std::string& path,
                                                 const std::string& split) {
  const std::string file = read_file(path);
  return with_context(path, [&] {
    const auto first = file.find_first_not_of(" \t\r\n");
    const bool json = first != std::string::npos && file[first] == '{';
    if (json && split != "auto")
      throw usage_error(cat("a tokenizer.json has its own split pattern, not '", split, "'"));
    return json ? from_json(file) : from_ranks(file, split);
  });
}

std::shared_ptr<const Tokenizer> Tokenizer::from_ranks(std::string_view file,
                                                       const std::string& split) {
  return std::shared_ptr<const Tokenizer>(new Tokenizer(read_rank_file(file, split)));
}

std::shared_ptr<const Tokenizer> Tokenizer::from_json(std::string_view file) {
  return std::shared_ptr<const Tokenizer>(new Tokenizer(read_tokenizer_json(file)));
}

std::size_t Tokenizer::size() const {
  return impl_->tokens.size();
}

std::string Tokenizer::split() const {
  return impl_->split;
}

std::string_view Tokenizer::bytes(Token token) const {
  if (token >= impl_->bytes.size() || impl_->bytes[token].empty())
    throw input_error(cat("no token ", token));
  return impl_->bytes[token];
}

std::string Tokenizer::decode(std::span<const Token> tokens) const {
  std::string out;
  for (const Token token : tokens) out += bytes(token);
  return out;
}

struct Encoder::Impl {
  explicit Impl(std::shared_ptr<const Tokenizer> shared)
      : owner(std::move(shared)), tokenizer(*owner->impl_) {}

  // The tokens of one pre-token.
  void encode_piece(std::string_view piece, std::vector<Token>& out) {
    if (tokenizer.whole_piece_first) {
      if (const auto whole = tokenizer.tokens.find(piece); whole != tokenizer.tokens.end()) {
        out.push_back(whole->second);
        return;
      }
    }
    if (const auto seen = cache.find(piece); seen != cache.end()) {
      const auto begin = pool.begin() + seen->second.begin;
      out.insert(out.end(), begin, begin + seen->second.count);
      return;
    }
    work.clear();
    for (const char c : piece) work.push_back(tokenizer.byte_tokens[static_cast<unsigned char>(c)]);
    merger.merge(tokenizer.pairs, work);
    out.insert(out.end(), work.begin(), work.end());
    remember(piece);
  }

  void remember(std::string_view piece) {
    if (piece.size() > longest_cached) return;
    if (cache.size() >= most_cached) {
      cache.clear();
      pool.clear();
    }
    cache.emplace(piece, Cached{static_cast<std::uint32_t>(pool.size()),
                                static_cast<std::uint32_t>(work.size())});
    pool.insert(pool.end(), work.begin(), work.end());
  }

  // Rare pieces would only fill the cache: words are short.
  static constexpr std::size_t longest_cached = 64, most_cached = 1 << 17;
  struct Cached {
    std::uint32_t begin, count;
  };

  std::shared_ptr<const Tokenizer> owner;
  const Tokenizer::Impl& tokenizer;
  Regex::Matcher matcher;
  Merger merger;
  TextMap<Cached> cache;
  std::vector<Token> pool, work;
};

Encoder::Encoder(std::shared_ptr<const Tokenizer> tokenizer)
    : impl_(std::make_unique<Impl>(std::move(tokenizer))) {}
Encoder::~Encoder() = default;
Encoder::Encoder(Encoder&&) noexcept = default;

void Encoder::encode(std::string_view text, std::vector<Token>& out) {
  const TakePiece take = [&](std::string_view piece) { impl_->encode_piece(piece, out); };
  while (!text.empty()) {
    const std::size_t valid = valid_prefix(text);
    split_text(impl_->tokenizer.stages, impl_->matcher, text.substr(0, valid), take);
    text.remove_prefix(valid);
    if (text.empty()) return;
    // An unfinished or impossible character: its bytes one by one.
    const std::size_t invalid = step_utf8(text).size;
    for (std::size_t i = 0; i < invalid; ++i) {
      out.push_back(impl_->tokenizer.byte_tokens[static_cast<unsigned char>(text[i])]);
    }
    text.remove_prefix(invalid);
  }
}

std::vector<Token> Encoder::encode(std::string_view text) {
  std::vector<Token> out;
  encode(text, out);
  return out;
}

}  // namespace blt::text
