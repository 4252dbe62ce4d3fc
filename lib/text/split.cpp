// SPDX-License-Identifier: MIT
#include "split.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <cstdint>

#include "blt/base/error.h"

namespace blt::text {
namespace {

std::string pcre_message(int code) {
  PCRE2_UCHAR buffer[256];
  pcre2_get_error_message(code, buffer, sizeof buffer);
  return reinterpret_cast<const char*>(buffer);
}

// Reads a pattern once, copying it and rewriting the escapes whose meaning differs.
class Translator {
 public:
  Translator(std::string_view pattern, RegexDialect dialect)
      : pattern_(pattern), dialect_(dialect) {}

  std::string run() {
    while (at_ < pattern_.size()) {
      const char c = pattern_[at_];
      if (c == '\\') {
        escape();
        continue;
      }
      if (in_class_ && starts_with("[:")) {  // [:alpha:]
        const auto close = pattern_.find(":]", at_ + 2);
        if (close == std::string_view::npos) refuse("a class without an end");
        copy(close + 2 - at_);
        continue;
      }
      // PCRE2 10.42 has neither nested classes nor intersections: it would read them as plain
      // characters.
      if (in_class_ && c == '[') refuse("a class inside a class");
      if (in_class_ && starts_with("&&")) refuse("an intersection of classes");
      if (c == '[')
        in_class_ = true;
      else if (c == ']')
        in_class_ = false;
      copy(1);
    }
    return std::move(out_);
  }

 private:
  bool starts_with(std::string_view text) const { return pattern_.substr(at_).starts_with(text); }

  [[noreturn]] void refuse(std::string_view what) const {
    throw input_error(cat("the split pattern uses ", what, ", which is not supported: ", pattern_));
  }

  void copy(std::size_t length) {
    out_ += pattern_.substr(at_, length);
    at_ += length;
  }

  // Puts a set of characters in place of a two-character escape.
  void emit(std::string_view in_class) {
    if (in_class_)
      out_ += in_class;
    else
      out_ += '[' + std::string(in_class) + ']';
    at_ += 2;
  }

  void escape() {
    const char kind = at_ + 1 < pattern_.size() ? pattern_[at_ + 1] : '\0';
    if (kind == 's') return emit("\\p{White_Space}");
    if (kind == 'S') return emit("\\P{White_Space}");
    const bool onig = dialect_ == RegexDialect::oniguruma;
    if (kind == 'w' && onig) return emit("\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}");
    if (kind == 'W' && onig && !in_class_) {
      out_ += "[^\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}]";
      at_ += 2;
      return;
    }
    if (onig && (kind == 'W' || kind == 'h' || kind == 'H' || kind == 'R' || kind == 'X'))
      refuse(pattern_.substr(at_, 2));
    if ((kind == 'p' || kind == 'P') && property(kind)) return;
    if (kind == 'u' && at_ + 6 <= pattern_.size()) {  // \uHHHH
      out_ += "\\x{" + std::string(pattern_.substr(at_ + 2, 4)) + '}';
      at_ += 6;
      return;
    }
    copy(2);
  }

  // \p{Han}: the script itself, where PCRE2 would add the characters that only extend to it.
  bool property(char kind) {
    const auto close = pattern_.find('}', at_);
    if (at_ + 2 >= pattern_.size() || pattern_[at_ + 2] != '{' || close == std::string_view::npos)
      return false;
    std::string_view name = pattern_.substr(at_ + 3, close - at_ - 3);
    bool negative = kind == 'P';
    if (name.starts_with('^')) {
      negative = !negative;
      name.remove_prefix(1);
    }
    const bool general =
        name.size() <= 2 || name == "Any" || name == "White_Space" || name == "Alphabetic";
    out_ += negative ? "\\P{" : "\\p{";
    if (!general && name.find_first_of("=:") == std::string_view::npos) out_ += "sc:";
    out_ += name;
    out_ += '}';
    at_ = close + 1;
    return true;
  }

  std::string_view pattern_;
  RegexDialect dialect_;
  std::size_t at_ = 0;
  bool in_class_ = false;
  std::string out_;
};

using Stages = std::vector<SplitStage>;

// The pieces of one text from stage `index` on.
void run_stages(const Stages& stages, std::size_t index, Regex::Matcher& matcher,
                std::string_view text, const TakePiece& take) {
  if (text.empty()) return;
  if (index == stages.size()) return take(text);
  const SplitStage& stage = stages[index];
  const auto pass = [&](std::string_view piece) {
    run_stages(stages, index + 1, matcher, piece, take);
  };
  if (stage.kind == SplitStage::Kind::prefix_space) {
    if (text.front() == ' ') return pass(text);
    const std::string longer = ' ' + std::string(text);
    return pass(longer);
  }
  const bool keep_gaps = stage.kind == SplitStage::Kind::isolate;
  std::size_t done = 0, from = 0, begin = 0, end = 0;
  while (from < text.size() && matcher.find(*stage.regex, text, from, begin, end)) {
    if (keep_gaps && begin > done) pass(text.substr(done, begin - done));
    if (end > begin) pass(text.substr(begin, end - begin));
    done = from = end;
    if (begin == end) {  // an empty match only parts what lies on its two sides; go on behind the
                         // next character
      ++from;
      while (from < text.size() && (static_cast<std::uint8_t>(text[from]) & 0xC0) == 0x80) ++from;
    }
  }
  if (keep_gaps && done < text.size()) pass(text.substr(done));
}

}  // namespace

std::string translate_regex(std::string_view pattern, RegexDialect dialect) {
  return Translator(pattern, dialect).run();
}

Regex::Regex(const std::string& pattern, RegexDialect dialect) {
  const std::string translated = translate_regex(pattern, dialect);
  const std::shared_ptr<pcre2_compile_context> context(pcre2_compile_context_create(nullptr),
                                                       pcre2_compile_context_free);
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  // Rust's $ is the end of the text; Ruby's and so Oniguruma's ends any line.
  const std::uint32_t options =
      PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C |
      (dialect == RegexDialect::rust ? PCRE2_DOLLAR_ENDONLY : PCRE2_MULTILINE);
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()),
                                   translated.size(), options, &error, &offset, context.get());
  if (!code)
    throw input_error(
        cat("the split pattern does not compile: ", pcre_message(error), ": ", pattern));
  code_ =
      std::shared_ptr<void>(code, [](void* p) { pcre2_code_free(static_cast<pcre2_code*>(p)); });
  // Without just-in-time compilation on this machine matching is slower and the same.
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
}

Regex::Matcher::Matcher() {
  data_ = {pcre2_match_data_create(1, nullptr),
           [](void* p) { pcre2_match_data_free(static_cast<pcre2_match_data*>(p)); }};
  context_ = {pcre2_match_context_create(nullptr),
              [](void* p) { pcre2_match_context_free(static_cast<pcre2_match_context*>(p)); }};
  stack_ = {pcre2_jit_stack_create(64 << 10, 64 << 20, nullptr),
            [](void* p) { pcre2_jit_stack_free(static_cast<pcre2_jit_stack*>(p)); }};
  auto* context = static_cast<pcre2_match_context*>(context_.get());
  pcre2_jit_stack_assign(context, nullptr, stack_.get());
  pcre2_set_match_limit(context, UINT32_MAX);
}

bool Regex::Matcher::find(const Regex& regex, std::string_view text, std::size_t from,
                          std::size_t& begin, std::size_t& end) {
  auto* data = static_cast<pcre2_match_data*>(data_.get());
  const int found =
      pcre2_match(static_cast<const pcre2_code*>(regex.code_.get()),
                  reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from, PCRE2_NO_UTF_CHECK,
                  data, static_cast<pcre2_match_context*>(context_.get()));
  if (found == PCRE2_ERROR_NOMATCH) return false;
  if (found < 0)
    throw resource_error(cat("splitting a text of ", text.size(), " bytes: ", pcre_message(found)));
  const PCRE2_SIZE* vector = pcre2_get_ovector_pointer(data);
  begin = vector[0];
  end = vector[1];
  return true;
}

void split_text(const std::vector<SplitStage>& stages, Regex::Matcher& matcher,
                std::string_view text, const TakePiece& take) {
  run_stages(stages, 0, matcher, text, take);
}

}  // namespace blt::text
