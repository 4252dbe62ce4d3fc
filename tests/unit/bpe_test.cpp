// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <algorithm>
#include <functional>
#include <map>

#include "blt/base/error.h"
#include "blt/base/files.h"
#include "blt/base/json.h"
#include "blt/base/random.h"
#include "blt/text/bpe.h"

using namespace blt;
using namespace blt::text;

namespace {

const std::string data = std::string(BLT_TEST_DATA) + "/tokenizers/";

std::shared_ptr<const Tokenizer> open(const std::string& name) {
  if (name.ends_with(".json")) return Tokenizer::open(data + name);
  return Tokenizer::open(data + "small.tiktoken", name);
}

Encoder encoder(const std::string& name) {
  return Encoder(open(name));
}

// The file with one part of its JSON replaced.
std::string changed(const char* name, const char* pointer, Json value) {
  Json file = read_json_file(data + name);
  file[Json::json_pointer(pointer)] = std::move(value);
  return dump_json(file);
}

std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("token ids equal those of the packages tiktoken and tokenizers", "[bpe]") {
  const Json expected = read_json_file(data + "expected.json");
  REQUIRE(expected.size() > 15);
  for (const char* name : {"gpt2", "cl100k", "llama3", "o200k", "small.json", "prefix.json"}) {
    Encoder enc = encoder(name);
    for (int round = 0; round < 2; ++round) {  // the second out of the cache
      for (const auto& row : expected) {
        INFO(name << ": " << row["text"]);
        CHECK(enc.encode(row["text"].get<std::string>()) == row[name].get<std::vector<Token>>());
      }
    }
  }
}

TEST_CASE("decode(encode(x)) == x for any bytes", "[bpe]") {
  Random random(11);
  for (const char* name : {"gpt2", "cl100k", "llama3", "o200k", "small.json"}) {
    const auto tokenizer = open(name);
    Encoder enc(tokenizer);
    for (int round = 0; round < 300; ++round) {
      std::string text;
      const auto size = random.below(200);
      const auto range = random.below(2) ? 256 : 4;  // few distinct bytes: many merges
      for (std::uint64_t i = 0; i < size; ++i)
        text += static_cast<char>(range == 256 ? random.below(256) : 'a' + random.below(4));
      const auto tokens = enc.encode(text);
      CHECK(tokenizer->decode(tokens) == text);
    }
  }
}

TEST_CASE("invalid UTF-8 bytes are tokens of their own", "[bpe]") {
  const auto tokenizer = open("gpt2");
  Encoder enc(tokenizer);
  const auto tokens = enc.encode("the\xFFthe\xE2\x82");
  auto expected = enc.encode("the");
  for (const char* part : {"\xFF", "the", "\xE2", "\x82"}) {
    const auto more = enc.encode(part);
    expected.insert(expected.end(), more.begin(), more.end());
  }
  CHECK(tokens == expected);
  CHECK(tokenizer->bytes(tokens.back()) == "\x82");
}

TEST_CASE("long pieces merge as short ones do", "[bpe]") {
  // A piece beyond the linear loop's bound against the plain definition: the leftmost pair of
  // lowest rank, again and again.
  const auto tokenizer = open("gpt2");
  Encoder enc(tokenizer);
  std::map<std::string, Token, std::less<>> ranks;
  for (Token t = 0; t < tokenizer->size(); ++t) ranks.emplace(tokenizer->bytes(t), t);
  Random random(3);
  for (int round = 0; round < 20; ++round) {
    std::string text;
    const std::size_t size = 30 + random.below(300);
    while (text.size() < size)
      text += tokenizer->bytes(static_cast<Token>(256 + random.below(tokenizer->size() - 256)));
    std::erase_if(text, [](char c) { return c < 'a' || c > 'z'; });  // one word
    std::vector<std::string> parts;
    for (const char c : text) parts.emplace_back(1, c);
    while (true) {
      std::size_t best = parts.size();
      Token rank = ~Token{0};
      for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
        const auto found = ranks.find(parts[i] + parts[i + 1]);
        if (found != ranks.end() && found->second < rank) {
          best = i;
          rank = found->second;
        }
      }
      if (best == parts.size()) break;
      parts[best] += parts[best + 1];
      parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    }
    std::vector<Token> expected;
    for (const auto& part : parts) expected.push_back(ranks.at(part));
    CHECK(enc.encode(text) == expected);
  }
}

TEST_CASE("the split pattern of a rank file is chosen or must be named", "[bpe]") {
  CHECK(open("llama3")->split() == "llama3");
  CHECK(message_of([] {
          Tokenizer::open(data + "small.tiktoken");
        }).find("does not tell the split pattern") != std::string::npos);
  CHECK(message_of([] {
          Tokenizer::open(data + "small.tiktoken", "gpt9");
        }).find("unknown split pattern 'gpt9'") != std::string::npos);
  CHECK(message_of([] {
          Tokenizer::open(data + "small.json", "gpt2");
        }).find("own split pattern") != std::string::npos);
}

TEST_CASE("damaged rank files are told by line", "[bpe]") {
  const std::string good = read_file(data + "small.tiktoken");
  const auto lines = std::to_string(std::count(good.begin(), good.end(), '\n') + 1);
  const auto told = [](const std::string& file) {
    return message_of([&] { Tokenizer::from_ranks(file, "gpt2"); });
  };
  CHECK(told(good).empty());
  CHECK(told(good + "IQ==\n") == "line " + lines + " is not \"base64 rank\"");
  CHECK(told(good + "I!== 900\n") == "line " + lines + " is not \"base64 rank\"");
  CHECK(told(good + "IQ== 900x\n") == "line " + lines + " is not \"base64 rank\"");
  CHECK(told(good + "IQ== 99999999999\n") == "line " + lines + " is not \"base64 rank\"");
  CHECK(told(good + "IQ== 900\n") == "line " + lines + ": a token for the second time");
  CHECK(told(good + "d2hhdG5v 5\n") == "line " + lines + ": rank 5 for the second time");
  CHECK(told("") == "no ranks in it");
  CHECK(told(good.substr(good.find('\n') + 1)).find("no token for the single byte") == 0);
}

TEST_CASE("tokenizer.json files that cannot be followed exactly are refused", "[bpe]") {
  const auto told = [](const std::string& file) {
    return message_of([&] { Tokenizer::from_json(file); });
  };
  CHECK(told(read_file(data + "small.json")).empty());
  CHECK(told(changed("small.json", "/normalizer", {{"type", "NFC"}})).find("normalizer NFC") == 0);
  CHECK(told(changed("small.json", "/model/type", "Unigram")) ==
        "not a byte-level BPE: its model is Unigram");
  CHECK(told(changed("small.json", "/model/dropout", 0.1)) == "model.dropout is not supported");
  CHECK(told(changed("small.json", "/model/end_of_word_suffix", "</w>")) ==
        "model.end_of_word_suffix is not supported");
  CHECK(told(changed("small.json", "/pre_tokenizer", nullptr)).find("does not end in ByteLevel") !=
        std::string::npos);
  CHECK(told(changed("small.json", "/pre_tokenizer/pretokenizers/0/behavior", "MergedWithNext"))
            .find("MergedWithNext") != std::string::npos);
  CHECK(told(changed("small.json", "/pre_tokenizer/pretokenizers/0/pattern/Regex", "("))
            .find("does not compile") != std::string::npos);
  CHECK(told(changed("small.json", "/pre_tokenizer/pretokenizers/0/pattern/Regex", "[a[b]]"))
            .find("a class inside a class") != std::string::npos);
  CHECK(told(changed("small.json", "/model/merges/0", "a")).find("model.merges: item 1") == 0);
  CHECK(told(changed("small.json", "/model/merges/0", Json::array({"a", "\xC3\xA9\xC3\xA9"})))
            .find("no token") != std::string::npos);
  CHECK(told(changed("small.json", "/model/vocab/a", -1)).find("model.vocab") == 0);
  CHECK(told("{}").find("not a tokenizer.json") == 0);
  CHECK(told("{").find("not a tokenizer.json") == 0);
  CHECK(told("{\"model\": []}").find("not a tokenizer.json") == 0);
  CHECK(message_of([] { Tokenizer::open(data + "missing.json"); }).find("missing.json") !=
        std::string::npos);
}

TEST_CASE("spaces and signs of every kind split as the packages split them", "[bpe]") {
  // U+180E is no white space for Rust and Oniguruma, though it is for PCRE2's \s: it stays with its
  // neighbours.
  Encoder enc = encoder("gpt2");
  const auto all = enc.encode(
      "a \xE1\xA0\x8E"
      "b");
  CHECK(open("gpt2")->decode(all) ==
        "a \xE1\xA0\x8E"
        "b");
  const std::string words = "word ";
  std::string text;
  for (int i = 0; i < 200000; ++i) text += words;
  text += std::string(300000, ' ');
  CHECK(open("gpt2")->decode(enc.encode(text)) == text);
}
