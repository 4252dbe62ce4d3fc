// SPDX-License-Identifier: MIT
// Scores by the cached engine against the losses of whole forwards.
#include <catch2/catch.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "blt/base/error.h"
#include "blt/generate/sampler.h"
#include "blt/generate/score.h"
#include "blt/model/inference.h"

using namespace blt;
using namespace blt::generate;

namespace {

const std::vector<std::string> models = {BLT_TEST_DATA "/models/hf", BLT_TEST_DATA "/models/meta",
                                         BLT_TEST_DATA "/models/meta/entropy_model"};

ModelOptions options() {
  ModelOptions out;
  out.dtype = "float32";
  out.threads = 1;
  return out;
}

std::unique_ptr<Engine> engine_of(const std::string& model, std::int64_t slack = 256) {
  EngineOptions engine;
  engine.slack = slack;
  return open_engine(model, options(), engine);
}

// The sum of the losses of ids[from..] in one forward of the whole text (with logits, nothing is cut).
double forward_nats(Scorer& scorer, const std::string& text, std::size_t from, bool eos) {
  const std::vector<std::vector<patch::TokenId>> ids = {patch::encode(text, true, eos)};
  const auto result = scorer.score(ids, true);
  REQUIRE(result[0].losses.size() == ids[0].size() - 1);
  double sum = 0;
  for (std::size_t i = from; i < result[0].losses.size(); ++i) sum -= result[0].losses[i];
  return sum;
}

bool go_on() {
  return true;
}

// Bytes of all kinds, UTF-8 and not.
std::string sample(std::size_t size) {
  const std::string unit = "The cat, na\xC3\xAFve.\n\xE6\x9D\xB1\xE4\xBA\xAC 12 \xFF{x}";
  std::string out;
  while (out.size() < size) out += unit + std::to_string(out.size());
  out.resize(size);
  return out;
}

std::string message(const std::string& line) {
  try {
    parse_score_row(line, " ");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::input);
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("a text's log-likelihood is that of one forward", "[likelihood]") {
  for (const auto& model : models) {
    INFO(model);
    const auto engine = engine_of(model);
    const auto scorer = model::open_scorer(model, options());
    // The last one is longer than a piece and than the engine's chunks, and ends inside a character.
    for (const std::string& text : {std::string("x"), sample(200), sample(5000) + "\xC3"}) {
      for (const bool eos : {false, true}) {
        INFO(text.size() << " bytes, eos " << eos);
        const Likelihood got = score_text(*engine, text, eos, go_on);
        CHECK(got.nats == Approx(forward_nats(*scorer, text, 0, eos)).epsilon(1e-4));
        CHECK(got.bytes == text.size());
        CHECK(got.nats < 0);
        CHECK(got.bits_per_byte() ==
              Approx(-got.nats / std::log(2.0) / static_cast<double>(text.size())));
      }
    }
  }
}

TEST_CASE("choices that share a prefix score as each alone and as in one forward", "[likelihood]") {
  // Longer than the slack, inside a character, one byte, with bytes that are no UTF-8.
  const std::vector<std::string> choices = {"sat on the mat.", "caf\xC3", "q", sample(90),
                                            "\xFF\x80 a"};
  for (const auto& model : models) {
    const auto scorer = model::open_scorer(model, options());
    for (const std::string& prefix : {std::string(), std::string("The cat "), sample(700)}) {
      for (const bool eos : {false, true}) {
        INFO(model << ", prefix of " << prefix.size() << " bytes, eos " << eos);
        const auto engine = engine_of(model, 40), fresh = engine_of(model);
        const auto shared = score_after(*engine, prefix, choices, eos, go_on);
        REQUIRE(shared.size() == choices.size());
        for (std::size_t i = 0; i < choices.size(); ++i) {
          INFO("choice " << i);
          const auto alone = score_after(*fresh, prefix, std::span(&choices[i], 1), eos, go_on);
          CHECK(shared[i].nats == Approx(alone[0].nats).epsilon(1e-5));
          CHECK(shared[i].nats ==
                Approx(forward_nats(*scorer, prefix + choices[i], prefix.size(), eos)).epsilon(1e-4));
          CHECK(shared[i].bytes == choices[i].size());
        }
      }
    }
  }
}

TEST_CASE("a continuation is greedy when greedy decoding writes it", "[likelihood]") {
  for (const auto& model : models) {
    INFO(model);
    const auto engine = engine_of(model);
    std::vector<patch::TokenId> ids = patch::encode("The cat ", true, false);
    std::string text;
    for (int i = 0; i < 12; ++i) {
      const auto logits = i == 0 ? engine->prefill(ids) : engine->step(ids.back());
      const patch::TokenId next = best(logits, true);
      if (next == patch::eos_id) break;
      ids.push_back(next);
      text += static_cast<char>(next - patch::byte_offset);
    }
    REQUIRE(text.size() > 1);
    std::string first = text, last = text;
    first.front() = static_cast<char>(first.front() + 1);
    last.back() = static_cast<char>(last.back() + 1);
    const std::vector<std::string> continuations = {text, text.substr(0, 1), first, last};
    const auto scores = score_after(*engine, "The cat ", continuations, false, go_on);
    CHECK(scores[0].greedy);
    CHECK(scores[1].greedy);
    CHECK(!scores[2].greedy);
    CHECK(!scores[3].greedy);
  }
}

TEST_CASE("an empty text has no score, and a stop ends the work", "[likelihood]") {
  const auto engine = engine_of(models[0]);
  const std::vector<std::string> texts = {"a", ""};
  CHECK_THROWS_AS(score_after(*engine, "x", texts, false, go_on), Error);
  int calls = 0;
  score_text(*engine, sample(9000), false, [&] { return ++calls < 2; });
  CHECK(calls == 2);
}

TEST_CASE("the best choice as a whole and by byte", "[likelihood]") {
  std::vector<Likelihood> x(3);
  x[0].nats = -6, x[0].bytes = 2;
  x[1].nats = -8, x[1].bytes = 8;
  x[2].nats = -6, x[2].bytes = 6;
  CHECK(best_choice(x, false) == 0);  // of equals the first
  CHECK(best_choice(x, true) == 1);
}

TEST_CASE("rows are choices or continuations", "[likelihood]") {
  const ScoreRow row =
      parse_score_row(R"({"choices": ["a", "\u00e9 b"], "query": "Q:", "gold": 1, "id": 7})", "\n");
  CHECK(row.is_choice);
  CHECK(row.prefix == "Q:\n");
  CHECK(row.texts == std::vector<std::string>{"a", "\xC3\xA9 b"});
  CHECK(row.gold == 1);
  const ScoreRow next = parse_score_row(R"({"context": "", "continuation": "x"})", " ");
  CHECK(!next.is_choice);
  CHECK(next.prefix == " ");
  CHECK(next.texts == std::vector<std::string>{"x"});
}

TEST_CASE("a bad row says what is wrong with it", "[likelihood]") {
  CHECK(message("{").find("invalid JSON") == 0);
  CHECK(message("[1]") == "the line is no JSON object");
  CHECK(message("{}") == "the row has neither choices nor a continuation");
  CHECK(message(R"({"choices": ["a"], "gold": 0})") == "the row has no query");
  CHECK(message(R"({"query": 1, "choices": ["a"], "gold": 0})") == "query is no string");
  CHECK(message(R"({"query": "q", "choices": "a", "gold": 0})") == "choices is no list");
  CHECK(message(R"({"query": "q", "choices": [], "gold": 0})") == "choices is empty");
  CHECK(message(R"({"query": "q", "choices": ["a", 1], "gold": 0})") == "choices: item 1 is no string");
  CHECK(message(R"({"query": "q", "choices": ["a", ""], "gold": 0})") == "choices: item 1 is empty");
  for (const char* gold : {"2", "-1", "0.5", "\"0\"", "null"}) {
    INFO(gold);
    CHECK(message(R"({"query": "q", "choices": ["a", "b"], "gold": )" + std::string(gold) + "}") ==
          "gold is no number from 0 to 1");
  }
  CHECK(message(R"({"query": "q", "choices": ["a", "b"]})") == "gold is no number from 0 to 1");
  CHECK(message(R"({"continuation": "x"})") == "the row has no context");
  CHECK(message(R"({"context": "x", "continuation": ""})") == "continuation is empty");
  CHECK(message(R"({"context": "x", "continuation": ["y"]})") == "continuation is no string");
}

TEST_CASE("a report's figures", "[likelihood]") {
  ScoreReport report;
  report.choices.push_back({"c.jsonl", 4, 1, 3});
  report.continuations.push_back({"l.jsonl", 2, 1, {-2 * std::log(8.0), 6, true}});
  const Json json = to_json(report);
  CHECK(json["choices"][0]["accuracy"] == 0.25);
  CHECK(json["choices"][0]["accuracy_per_byte"] == 0.75);
  CHECK(json["choices"][0]["accuracy_error"].get<double>() == Approx(std::sqrt(0.25 * 0.75 / 4)));
  CHECK(json["continuations"][0]["greedy"] == 0.5);
  CHECK(json["continuations"][0]["perplexity"].get<double>() == Approx(8));
  CHECK(json["continuations"][0]["bits_per_byte"].get<double>() == Approx(1));
  CHECK(json["texts"].empty());
  CHECK(!json.contains("all_texts"));
}
