// SPDX-License-Identifier: MIT
// blt-generate score: what a model says of given texts, choices and continuations.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "blt/base/json.h"
#include "blt/base/reporter.h"
#include "blt/config/score_config.h"
#include "blt/generate/engine.h"

namespace blt::generate {

struct Likelihood {
  double nats = 0;          // log-likelihood: the sum of log p over bytes (and EOS), at most 0
  std::uint64_t bytes = 0;  // without EOS
  bool greedy = true;       // greedy decoding writes exactly these bytes

  double per_byte() const;       // nats a byte
  double bits_per_byte() const;  // -nats / (ln 2 x bytes)
};

// Called whenever the engine has gone on; false stops, and what is returned is then of no use.
using GoOn = std::function<bool()>;

// The whole text behind BOS, in pieces. Resets the engine.
Likelihood score_text(Engine& engine, std::string_view text, bool eos, const GoOn& go_on);

// Each of `texts` behind BOS and the prefix, which is computed once. Resets the engine, whose slack
// should be above the longest text's length. Errors: usage (an empty text).
std::vector<Likelihood> score_after(Engine& engine, std::string_view prefix,
                                    std::span<const std::string> texts, bool eos,
                                    const GoOn& go_on);

// The index of the largest; of equals the first.
std::size_t best_choice(std::span<const Likelihood> choices, bool per_byte);

// A row of a JSON lines file.
struct ScoreRow {
  std::uint64_t line = 0;
  std::string prefix;  // query or context, and the joining string
  std::vector<std::string> texts;
  bool is_choice = false;  // texts[gold] is right; else texts[0] is the continuation
  std::size_t gold = 0;
};

// {"query", "choices", "gold"} or {"context", "continuation"}. Errors: input.
ScoreRow parse_score_row(std::string_view line, const std::string& join);

struct ScoreReport {
  struct Text {
    std::string file;
    Likelihood score;
  };
  struct Choices {
    std::string file;
    std::uint64_t rows = 0, right = 0, right_per_byte = 0;  // by log-likelihood, and by that a byte
  };
  struct Continuations {
    std::string file;
    std::uint64_t rows = 0, greedy = 0;
    Likelihood sum;
    double perplexity() const;  // exp of the mean of -nats a row
  };
  std::string kind;  // of the model
  bool eos = false;  // EOS counted
  std::vector<Text> texts;
  std::vector<Choices> choices;
  std::vector<Continuations> continuations;
};

Json to_json(const ScoreReport& report);
std::string to_text(const ScoreReport& report);

// All of blt-generate score: reads rows, opens the model, scores, writes. Returns the exit code.
// Errors: usage, input, output, resource.
int score(const ScoreConfig& config, Reporter& reporter);

}  // namespace blt::generate
