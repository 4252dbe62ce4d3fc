// SPDX-License-Identifier: MIT
// Pre-tokenisation: valid UTF-8 text -> the pieces that BPE never merges across.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace blt::text {

// Which engine a pattern was written for: they differ in what `$` and `\s` mean.
enum class RegexDialect { rust, oniguruma };

// The pattern as PCRE2 must read it to match like the dialect: \s is Unicode's White_Space in both
// dialects, but PCRE2's takes U+180E as well; Oniguruma's \w has marks and its \p{Script} no
// extensions. Errors: input (not translatable).
std::string translate_regex(std::string_view pattern, RegexDialect dialect);

class Regex {
 public:
  Regex(const std::string& pattern, RegexDialect dialect);  // errors: input

  // The scratch memory of one thread.
  class Matcher {
   public:
    Matcher();
    // The next match at or after `from`, or false. text is valid UTF-8. Errors: resource.
    bool find(const Regex& regex, std::string_view text, std::size_t from, std::size_t& begin,
              std::size_t& end);

   private:
    std::shared_ptr<void> data_, context_, stack_;
  };

 private:
  std::shared_ptr<void> code_;
};

struct SplitStage {
  enum class Kind {
    matches,       // each match is a piece, what lies between is dropped
    isolate,       // each match is a piece and so is what lies between
    prefix_space,  // a space before a piece that has none (Hugging Face's add_prefix_space)
  };
  Kind kind = Kind::isolate;
  std::shared_ptr<const Regex> regex;  // null for prefix_space
};

// Calls `take` with each piece of the text, in order. Each stage sees the pieces of the one before
// as texts of their own.
using TakePiece = std::function<void(std::string_view)>;
void split_text(const std::vector<SplitStage>& stages, Regex::Matcher& matcher,
                std::string_view text, const TakePiece& take);

}  // namespace blt::text
