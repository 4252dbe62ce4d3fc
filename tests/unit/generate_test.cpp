// SPDX-License-Identifier: MIT
// Stop strings, streaming and the loop of generation, with an engine that recites a text.
#include <catch2/catch.hpp>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "blt/base/error.h"
#include "blt/generate/generate.h"
#include "blt/generate/stop.h"
#include "blt/text/utf8.h"

using namespace blt;
using namespace blt::generate;

namespace {

// After the prompt the most likely ids are those of `script`, then EOS. Patches start at every
// multiple of 3.
class Reciter final : public Engine {
 public:
  Reciter(std::int64_t prompt, std::string script)
      : prompt_(prompt + 1), script_(std::move(script)) {}

  std::span<const float> prefill(std::span<const patch::TokenId> ids) override {
    ids_.insert(ids_.end(), ids.begin(), ids.end());
    logits_.assign(260, -30.0f);
    const std::int64_t at = position() - prompt_;
    if (at >= 0) logits_[next(at)] = 0;
    logits_['#' + 4] = -1;  // second best
    starts_.clear();
    for (std::int64_t p = 0; p <= position(); p += 3) starts_.push_back(p);
    return logits_;
  }
  std::span<const float> extend(std::span<const patch::TokenId> ids) override {
    std::vector<float> all;
    for (const auto id : ids) {
      const auto row = prefill({&id, 1});
      all.insert(all.end(), row.begin(), row.end());
    }
    logits_ = std::move(all);
    return logits_;
  }
  // Heads that know the script, but for every fifth id of it, for which they say '!'. A stale latent does that for every seventh.
  std::int64_t heads() const override { return 4; }
  std::span<const float> future(std::int64_t head) override {
    ahead_.assign(260, -30.0f);
    ahead_[drafted(position() - prompt_ + head - 1, 5)] = 0;
    return ahead_;
  }
  std::span<const float> guess(std::span<const patch::TokenId> ids) override {
    ahead_.assign(260 * ids.size(), -30.0f);
    for (std::size_t i = 0; i < ids.size(); ++i) {
      ids_.push_back(ids[i]);
      ahead_[260 * i + drafted(position() - prompt_, 7)] = 0;
    }
    return ahead_;
  }
  void rollback(std::int64_t count) override {
    ids_.resize(ids_.size() - static_cast<std::size_t>(count));
  }
  std::int64_t position() const override { return static_cast<std::int64_t>(ids_.size()); }
  const std::vector<std::int64_t>& patch_starts() const override { return starts_; }
  const Facts& facts() const override { return facts_; }

  Facts facts_{"blt", 1000, 1000};

 private:
  std::size_t next(std::int64_t at) const {
    if (at >= static_cast<std::int64_t>(script_.size())) return patch::eos_id;
    return static_cast<unsigned char>(script_[static_cast<std::size_t>(at)]) + 4u;
  }

  std::size_t drafted(std::int64_t at, std::int64_t every) const { return (at + 1) % every == 0 ? '!' + 4u : next(at); }

  std::int64_t prompt_;
  std::string script_;
  std::vector<patch::TokenId> ids_;
  std::vector<std::int64_t> starts_;
  std::vector<float> logits_, ahead_;
};

struct Warnings final : Reporter {
  void log(LogLevel level, std::string_view message) override {
    if (level == LogLevel::warning) texts.emplace_back(message);
  }
  void progress(const Progress&) override {}
  std::vector<std::string> texts;
};

struct Told {
  Completion completion;
  std::vector<std::string> writes;
  std::string all;
};

Told recite(const std::string& prompt, const std::string& script, GenerateConfig config,
            Constraint* constraint = nullptr) {
  config.greedy = true;
  Reciter engine(static_cast<std::int64_t>(prompt.size()), script);
  NullReporter reporter;
  Generator generator(engine, config, reporter, constraint);
  Told told;
  told.completion = generator.complete(prompt, 1, [&](std::string_view text) {
    told.writes.emplace_back(text);
    told.all += text;
    return true;
  });
  return told;
}

std::string feed(StopMatcher& matcher, const std::string& text) {
  std::string out;
  for (const char c : text) out += matcher.push(c);
  return out;
}

}  // namespace

TEST_CASE("a stop string is not shown, nor what may begin one") {
  StopMatcher matcher({"END", "ENTER"});
  CHECK(feed(matcher, "a E") == "a ");
  CHECK(feed(matcher, "N") == "");
  CHECK(feed(matcher, "x") == "ENx");
  CHECK(feed(matcher, "ENT") == "");
  CHECK(feed(matcher, "END and more") == "ENT");
  CHECK(matcher.stopped());
  CHECK(matcher.finish() == "");
}

TEST_CASE("stop strings that overlap themselves") {
  StopMatcher matcher({"aab"});
  CHECK(feed(matcher, "aaa") == "a");
  CHECK(feed(matcher, "b") == "");
  CHECK(matcher.stopped());
  StopMatcher periodic({"abab!"});
  CHECK(feed(periodic, "ababab") == "ab");
  CHECK(feed(periodic, "!") == "");
  CHECK(periodic.stopped());
}

TEST_CASE("of stop strings that end together the longest counts, and the first to end wins") {
  StopMatcher together({"c", "abc"});
  CHECK(feed(together, "xabc") == "x");
  CHECK(together.stopped());
  StopMatcher first({"abcdef", "cd"});
  CHECK(feed(first, "abcd") == "ab");
  CHECK(first.stopped());
}

TEST_CASE("what waited for a stop string comes out at the end") {
  StopMatcher matcher({"END"});
  CHECK(feed(matcher, "the EN") == "the ");
  CHECK(matcher.finish() == "EN");
  CHECK(!matcher.stopped());
}

TEST_CASE("text streams in whole characters") {
  const std::string text = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80z";
  const Told told = recite("p", text, {});
  CHECK(told.completion.text == text);
  CHECK(told.completion.finish_reason == "eos");
  CHECK(told.all == text + "\n");
  CHECK(told.writes.size() == 6);  // each character by itself, and the newline
  for (const auto& write : told.writes) CHECK(text::is_valid_utf8(write));
}

TEST_CASE("bytes that are not UTF-8 become U+FFFD, or pass as they are with raw") {
  const std::string text = "a\xFF\xE2\x82z\xC3";
  const Told shown = recite("p", text, {});
  CHECK(shown.all == "a\xEF\xBF\xBD\xEF\xBF\xBDz\xEF\xBF\xBD\n");
  CHECK(shown.completion.text == text);
  GenerateConfig raw;
  raw.raw = true;
  const Told bytes = recite("p", text, raw);
  CHECK(bytes.all == text);
  CHECK(bytes.writes.size() == text.size());
}

TEST_CASE("a stop string inside a character leaves the character out") {
  GenerateConfig config;
  config.stop = {"\xA9"};
  const Told told = recite("p", "a\xC3\xA9z", config);
  CHECK(told.completion.finish_reason == "stop");
  CHECK(told.completion.text == "a\xC3");
}

TEST_CASE("generation ends by length, EOS or a stop string") {
  GenerateConfig config;
  config.max_bytes = 4;
  CHECK(recite("p", "abcdefgh", config).all == "abcd\n");
  CHECK(recite("p", "abcdefgh", config).completion.finish_reason == "length");
  CHECK(recite("p", "abcd", config).completion.finish_reason == "length");
  CHECK(recite("p", "abc", config).completion.finish_reason == "eos");
  config.max_bytes = 100;
  config.stop = {"de"};
  const Told stopped = recite("p", "abcdefgh", config);
  CHECK(stopped.all == "abc\n");
  CHECK(stopped.completion.finish_reason == "stop");
  CHECK(stopped.completion.steps == 5);
  config.stop.clear();
  config.ignore_eos = true;
  config.max_bytes = 6;
  CHECK(recite("p", "abc", config).all == "abc###\n");
  config.max_bytes = 0;
  CHECK(recite("p", "abc", config).all == "\n");
}

TEST_CASE("a constrained text is one of the constraint, whatever the model would like") {
  Constraint regex = regex_constraint("a(b|#)+c?");
  const Told free = recite("p", "xbcd", {}, &regex);  // after a b c nothing may follow
  CHECK(free.completion.text == "abc");
  CHECK(free.completion.finish_reason == "constraint");
  CHECK(free.completion.steps == 3);
  const Told ended = recite("p", "ab", {}, &regex);  // the next text begins anew
  CHECK(ended.completion.text == "ab");
  CHECK(ended.completion.finish_reason == "eos");
  const Told early = recite("p", "", {}, &regex);  // no end is allowed before two bytes
  CHECK(early.completion.text == "a#");
  GenerateConfig config;
  config.ignore_eos = true;
  config.max_bytes = 5;
  CHECK(recite("p", "ab", config, &regex).completion.text == "ab###");
  CHECK(recite("p", "ab", config, &regex).completion.finish_reason == "length");
  config.max_bytes = 3;
  CHECK(recite("p", "abc", config, &regex).completion.finish_reason == "constraint");
  config.max_bytes = 2;
  CHECK(recite("p", "abc", config, &regex).completion.finish_reason == "length");
  config.max_bytes = 9;
  config.stop = {"bc"};
  CHECK(recite("p", "abc", config, &regex).completion.finish_reason == "stop");
  Constraint nothing = regex_constraint("");
  CHECK(recite("p", "abc", config, &nothing).completion.finish_reason == "constraint");
  CHECK(recite("p", "abc", config, &nothing).completion.text == "");
}

TEST_CASE("drafts change neither the text nor how it ends") {
  const std::string script = "the quick brown fox jumps over the lazy dog";
  struct Case {
    std::string script;
    std::function<void(GenerateConfig&)> change;
    std::string text, reason;
    std::string pattern = {};
  };
  const Case cases[] = {
      {script, [](auto&) {}, script, "eos"},
      {script, [](auto& c) { c.max_bytes = 17; }, script.substr(0, 17), "length"},
      {script, [](auto& c) { c.max_bytes = 1; }, "t", "length"},
      {script, [](auto& c) { c.max_bytes = 0; }, "", "length"},
      {script, [](auto& c) { c.stop = {"jump"}; }, "the quick brown fox ", "stop"},
      {script, [](auto& c) { c.ignore_eos = true, c.max_bytes = 46; }, script + "###", "length"},
      {"", [](auto&) {}, "", "eos"},
      {"abcdefghij", [](auto&) {}, "abcdefghij", "constraint", "[a-j]{10}"},
      {"abcdefghij", [](auto&) {}, "abcdefghij", "eos", "[a-j]+"},
      {"abcdefghij", [](auto&) {}, "abcdefghij", "constraint", "[a-j]{4}[a-j]{6}|x"},
      {"abcdxfghij", [](auto&) {}, "abcd#fghij", "eos", "[a-j#]+"},
      {script, [](auto&) {}, "the q#uick", "constraint", "the q#uick"},
  };
  for (const auto& c : cases) {
    for (const std::string speculate : {"off", "heads", "latent", "lookup", "auto"}) {
      for (const std::int64_t draft : {1, 2, 3, 9}) {
        INFO(c.script << " " << c.reason << " " << speculate << " " << draft);
        GenerateConfig config;
        c.change(config);
        config.speculate = speculate;
        config.draft = draft;
        std::optional<Constraint> constraint;
        if (!c.pattern.empty()) constraint.emplace(regex_constraint(c.pattern));
        const Told told = recite("pr", c.script, config, constraint ? &*constraint : nullptr);
        CHECK(told.completion.text == c.text);
        CHECK(told.completion.finish_reason == c.reason);
      }
    }
  }
}

TEST_CASE("drafts are counted, and those that hold save passes") {
  GenerateConfig config;
  config.max_bytes = 20;
  config.speculate = "heads";
  const auto heads = recite("p", std::string(30, 'a'), config).completion.drafts;
  // The first id comes with the prompt; each pass gives its accepted drafts and one id more.
  CHECK(heads.accepted + heads.passes == 19);
  CHECK(heads.drafted >= heads.accepted);
  CHECK(heads.passes <= 8);
  CHECK(heads.guesses == 0);
  config.speculate = "latent";
  config.draft = 4;
  const auto latent = recite("p", std::string(30, 'a'), config).completion.drafts;
  CHECK(latent.accepted + latent.passes == 19);
  CHECK(latent.guesses == latent.drafted);
  config.speculate = "auto";
  std::string script;
  for (char c = 'a'; c < 'z'; ++c) script += c;
  const auto any = recite("p", script, config).completion.drafts;
  CHECK(any.accepted + any.passes == 19);
  CHECK(any.looked_up == 0);
  CHECK(any.guesses < any.drafted);  // heads draft for the stale latent
  config.speculate = "off";
  config.draft.reset();
  const auto off = recite("p", std::string(30, 'a'), config).completion.drafts;
  CHECK(off.passes == 19);
  CHECK(off.drafted == 0);
}

TEST_CASE("a held beginning of a stop string is shown when the text ends") {
  GenerateConfig config;
  config.stop = {"cdX"};
  CHECK(recite("p", "abcd", config).all == "abcd\n");
}

TEST_CASE("echo puts the prompt before the text; a character may span both") {
  GenerateConfig config;
  config.echo = true;
  CHECK(recite("say ", "hi", config).all == "say hi\n");
  CHECK(recite("caf\xC3", "\xA9!", config).all == "caf\xC3\xA9!\n");
  config.stop = {"y h"};  // stop strings look at the text alone
  CHECK(recite("say ", "hi", config).all == "say hi\n");
}

TEST_CASE("patches are marked where they start") {
  GenerateConfig config;
  config.show_patches = true;
  config.echo = true;
  // BOS is position 0: bytes 2, 5, 8, ... start patches.
  const Told told = recite("ab",
                           "cd\x01"
                           "fgh",
                           config);
  CHECK(told.all == "ab|cd\\x01|fgh\n");
  CHECK(told.completion.patches == 2);
  config.echo = false;
  CHECK(recite("a", "bcdefg", config).all == "b|cde|fg\n");
}

TEST_CASE("generation stops when nobody reads any more") {
  GenerateConfig config;
  config.greedy = true;
  Reciter engine(1, "abcdefgh");
  NullReporter reporter;
  Generator generator(engine, config, reporter);
  int writes = 0;
  const auto completion =
      generator.complete("p", 1, [&](std::string_view) { return ++writes < 3; });
  CHECK(completion.finish_reason == "closed");
  CHECK(completion.steps == 3);
  CHECK(writes == 3);
}

TEST_CASE("a text longer than the model is made for is told once") {
  GenerateConfig config;
  config.greedy = true;
  Reciter engine(1, "abcdefgh");
  engine.facts_.trained_bytes = 5;
  Warnings reporter;
  Generator generator(engine, config, reporter);
  generator.complete("p", 1, {});
  generator.complete("p", 1, {});
  REQUIRE(reporter.texts.size() == 1);
  CHECK(reporter.texts[0].find("5 bytes") != std::string::npos);
  engine.facts_ = {"blt", 1000, 2};
  Warnings patches;
  Generator second(engine, config, patches);
  second.complete("p", 1, {});
  REQUIRE(patches.texts.size() == 1);
  CHECK(patches.texts[0].find("2 patches") != std::string::npos);
}

TEST_CASE("JSON tells what was made; bytes that are not UTF-8 survive") {
  GenerateConfig config;
  const Json text = to_json(recite("p\n", "ok", {}).completion, "p\n", config, {"blt", 9, 9}, 5);
  CHECK(text["prompt"] == "p\n");
  CHECK(text["text"] == "ok");
  CHECK(text["finish_reason"] == "eos");
  CHECK(text["bytes"] == 2);
  CHECK(text["patches"] == 1);
  CHECK(text["seed"] == 5);
  CHECK(!text.contains("bytes_base64"));
  const Json bytes = to_json(recite("p", "a\xFF", {}).completion, "p", config, {"byte_lm", 9, 0}, 5);
  CHECK(bytes["bytes_base64"] == "Yf8=");
  CHECK(!bytes.contains("text"));
  CHECK(!bytes.contains("patches"));
}

TEST_CASE("options that exclude each other are refused") {
  GenerateConfig config;
  config.stop = {""};
  CHECK_THROWS_AS(check(config), Error);
  config.stop.clear();
  config.raw = config.json = true;
  CHECK_THROWS_AS(check(config), Error);
  config.raw = false;
  config.show_patches = true;
  CHECK_THROWS_AS(check(config), Error);
  config.json = false;
  config.regex = "a";
  config.utf8 = true;
  CHECK_NOTHROW(check(config));
  config.choices = "a|b";
  CHECK_THROWS_AS(check(config), Error);
}
