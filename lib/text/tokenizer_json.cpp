// SPDX-License-Identifier: MIT
// Hugging Face's tokenizer.json, where it describes a byte-level BPE.
#include <nlohmann/json.hpp>

#include "blt/base/error.h"
#include "blt/text/utf8.h"
#include "tokenizer_impl.h"

namespace blt::text {
namespace {

// Not blt::Json: its objects keep their order by linear search, and a vocabulary has 100,000 keys.
using FileJson = nlohmann::json;

constexpr const char* byte_level_pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// GPT-2's alphabet: printable Latin-1 characters stand for their own byte, the rest for U+0100 and
// up in order.
class ByteAlphabet {
 public:
  ByteAlphabet() {
    char32_t next = 0x100;
    for (int byte = 0; byte < 256; ++byte) {
      const bool own = (byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte != 0xAD);
      codes_[own ? static_cast<char32_t>(byte) : next++] = static_cast<char>(byte);
    }
  }

  // False when a character is not of the alphabet.
  bool decode(std::string_view text, std::string& out) const {
    out.clear();
    while (!text.empty()) {
      const Utf8Step step = step_utf8(text);
      const auto found = codes_.find(step.code);
      if (step.kind != Utf8Step::Kind::character || found == codes_.end()) return false;
      out += found->second;
      text.remove_prefix(step.size);
    }
    return true;
  }

 private:
  std::unordered_map<char32_t, char> codes_;
};

std::string type_of(const FileJson& part) {
  return part.is_object() ? part.value("type", std::string()) : std::string();
}

[[noreturn]] void refuse(const std::string& what) {
  throw input_error(cat(what, " is not supported"));
}

bool is_unset(const FileJson& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() || *found == "" || *found == false ||
         *found == 0;
}

void add_byte_level(const FileJson& part, std::vector<SplitStage>& stages) {
  if (part.value("add_prefix_space", true))
    stages.push_back({SplitStage::Kind::prefix_space, nullptr});
  if (part.value("use_regex", true)) {
    stages.push_back({SplitStage::Kind::isolate,
                      std::make_shared<Regex>(byte_level_pattern, RegexDialect::oniguruma)});
  }
}

std::string quoted(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (std::string_view("\\^$.|?*+()[]{}").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

void add_split(const FileJson& part, std::vector<SplitStage>& stages) {
  const FileJson& pattern = part.at("pattern");
  const bool regex = pattern.contains("Regex");
  const std::string text = pattern.at(regex ? "Regex" : "String");
  const std::string behavior = part.value("behavior", "");
  const bool invert = part.value("invert", false);
  if (behavior != "Isolated" && !(behavior == "Removed" && invert)) {
    refuse(cat("pre_tokenizer Split with behavior ", behavior, invert ? ", inverted," : ""));
  }
  const auto kind = behavior == "Isolated" ? SplitStage::Kind::isolate : SplitStage::Kind::matches;
  stages.push_back(
      {kind, std::make_shared<Regex>(regex ? text : quoted(text), RegexDialect::oniguruma)});
}

void add_digits(const FileJson& part, std::vector<SplitStage>& stages) {
  const char* const pattern = part.value("individual_digits", false) ? "\\p{N}" : "\\p{N}+";
  stages.push_back(
      {SplitStage::Kind::isolate, std::make_shared<Regex>(pattern, RegexDialect::oniguruma)});
}

std::vector<SplitStage> read_pre_tokenizer(const FileJson& part) {
  FileJson parts = FileJson::array({part});
  if (type_of(part) == "Sequence") parts = part.at("pretokenizers");
  if (parts.empty() || type_of(parts.back()) != "ByteLevel") {
    throw input_error("not a byte-level BPE: its pre_tokenizer does not end in ByteLevel");
  }
  std::vector<SplitStage> stages;
  for (const auto& stage : parts) {
    const std::string type = type_of(stage);
    if (type == "ByteLevel" && &stage == &parts.back())
      add_byte_level(stage, stages);
    else if (type == "Split")
      add_split(stage, stages);
    else if (type == "Digits")
      add_digits(stage, stages);
    else
      refuse(cat("pre_tokenizer ", type, " at this place"));
  }
  return stages;
}

void check_normalizer(const FileJson& file) {
  const auto found = file.find("normalizer");
  if (found == file.end() || found->is_null()) return;
  if (type_of(*found) == "Sequence" && found->value("normalizers", FileJson::array()).empty())
    return;
  refuse(cat("normalizer ", type_of(*found), " (bytes are never changed here)"));
}

void check_model(const FileJson& model) {
  if (const std::string type = model.value("type", "BPE"); type != "BPE") {
    throw input_error(cat("not a byte-level BPE: its model is ", type));
  }
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix", "dropout"}) {
    if (!is_unset(model, key)) refuse(cat("model.", key));
  }
}

Token read_id(const std::string& text, const FileJson& id) {
  if (!id.is_number_unsigned() || id.get<std::uint64_t>() > 50'000'000) {
    throw input_error(cat("model.vocab: the id of \"", text, "\" is not a small whole number"));
  }
  return id.get<Token>();
}

// The vocabulary as the file writes it; merges name their parts so.
using Vocabulary = TextMap<Token>;

Vocabulary read_vocabulary(const FileJson& model, Tokenizer::Impl& out) {
  const ByteAlphabet alphabet;
  Vocabulary vocabulary;
  std::string bytes;
  for (const auto& [text, id] : model.at("vocab").items()) {
    const Token token = read_id(text, id);
    if (token >= out.bytes.size()) out.bytes.resize(token + 1);
    if (!out.bytes[token].empty())
      throw input_error(cat("model.vocab: id ", token, " for the second time"));
    vocabulary.emplace(text, token);
    // Names outside the alphabet are special tokens, which text never gives.
    const bool plain = alphabet.decode(text, bytes) && !bytes.empty();
    out.bytes[token] = plain ? bytes : text;
    if (plain) out.tokens.emplace(bytes, token);
  }
  return vocabulary;
}

std::pair<std::string, std::string> read_merge(const FileJson& merge, std::size_t number) {
  if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string())
    return {merge[0], merge[1]};
  if (merge.is_string()) {
    const std::string text = merge;
    const auto space = text.find(' ');
    if (space != std::string::npos && text.find(' ', space + 1) == std::string::npos) {
      return {text.substr(0, space), text.substr(space + 1)};
    }
  }
  throw input_error(cat("model.merges: item ", number, " is not two tokens"));
}

void read_merges(const FileJson& model, const Vocabulary& vocabulary, Tokenizer::Impl& out) {
  const FileJson& merges = model.at("merges");
  if (!merges.is_array()) throw input_error("model.merges is not a list");
  out.pairs.reserve(merges.size());
  std::uint32_t rank = 0;
  for (const auto& merge : merges) {
    const auto [left, right] = read_merge(merge, rank + 1);
    const auto find = [&](const std::string& text) {
      const auto found = vocabulary.find(text);
      if (found == vocabulary.end())
        throw input_error(cat("model.merges: item ", rank + 1, ": no token \"", text, "\""));
      return found->second;
    };
    out.pairs.set(find(left), find(right), rank, find(left + right));
    ++rank;
  }
}

}  // namespace

std::unique_ptr<Tokenizer::Impl> read_tokenizer_json(std::string_view text) {
  auto out = std::make_unique<Tokenizer::Impl>();
  try {
    const FileJson file = FileJson::parse(text);
    const FileJson& model = file.at("model");
    check_model(model);
    check_normalizer(file);
    out->split = "tokenizer.json";
    out->stages = read_pre_tokenizer(file.value("pre_tokenizer", FileJson()));
    out->whole_piece_first = model.value("ignore_merges", false);
    read_merges(model, read_vocabulary(model, *out), *out);
  } catch (const FileJson::exception& error) {
    // "[json.exception.out_of_range.403] key 'model' not found": the number says nothing to a
    // reader.
    const std::string_view message = error.what();
    const auto bracket = message.find("] ");
    throw input_error(cat("not a tokenizer.json: ",
                          message.substr(bracket == std::string_view::npos ? 0 : bracket + 2)));
  }
  out->index_bytes();
  return out;
}

}  // namespace blt::text
