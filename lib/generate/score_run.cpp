// SPDX-License-Identifier: MIT
// The command: inputs, model, report.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "blt/base/error.h"
#include "blt/base/files.h"
#include "blt/base/signals.h"
#include "blt/generate/score.h"
#include "blt/io/documents.h"
#include "blt/io/source.h"
#include "blt/patch/json_lines.h"

namespace blt::generate {
namespace {

struct Input {
  std::string file;
  bool is_rows = false;
  std::vector<ScoreRow> rows;
};

std::vector<std::string> files_of(const ScoreConfig& config) {
  if (!config.inputs.empty()) return io::expand_inputs(config.inputs);
  if (::isatty(STDIN_FILENO))
    throw usage_error("there is nothing to score", "name files, or give text on standard input");
  return {"-"};
}

std::vector<ScoreRow> read_rows(const std::string& file, const ScoreConfig& config,
                                Reporter& reporter) {
  std::vector<ScoreRow> rows;
  const auto take = [&](std::string_view line, std::uint64_t number) {
    rows.push_back(parse_score_row(line, config.join));
    rows.back().line = number;
    return config.limit == 0 || rows.size() < static_cast<std::size_t>(config.limit);
  };
  patch::for_each_line({file}, config.on_error, take, reporter);
  return rows;
}

// Rows are read before the model is opened: bad ones show at once.
std::vector<Input> read_inputs(const ScoreConfig& config, Reporter& reporter) {
  std::vector<Input> inputs;
  for (const auto& file : files_of(config)) {
    const bool is_rows =
        config.format == "jsonl" || (config.format == "auto" && io::named_jsonl(file));
    inputs.push_back({file, is_rows, {}});
    if (is_rows) inputs.back().rows = read_rows(file, config, reporter);
  }
  return inputs;
}

// What rollback() takes back after the longest text of a row: its bytes, EOS and the id before it.
std::int64_t slack_for(const std::vector<Input>& inputs) {
  std::size_t longest = 0;
  for (const auto& input : inputs) {
    for (const auto& row : input.rows) {
      for (const auto& text : row.texts) longest = std::max(longest, text.size());
    }
  }
  return static_cast<std::int64_t>(longest) + 2;
}

class Run {
 public:
  Run(Engine& engine, const ScoreConfig& config, AtomicFile* details, Reporter& reporter)
      : engine_(engine), config_(config), details_(details), reporter_(reporter) {
    report_.kind = engine.facts().kind;
    report_.eos = config.eos;
  }

  void score(const Input& input) {
    if (input.is_rows)
      score_rows(input);
    else
      score_file(input.file);
  }
  const ScoreReport& report() const { return report_; }

 private:
  void score_file(const std::string& file) {
    io::DocumentOptions options;
    options.format = "binary";
    io::DocumentReader reader({file}, options);
    io::Document document;
    if (!reader.next(document)) throw input_error(cat(file, ": an empty text has no score"));
    const auto tell = [&](bool finished) {
      const auto done = std::max<std::int64_t>(engine_.position() - 1, 0);
      reporter_.progress({file, static_cast<std::uint64_t>(done), document.text.size(), "B", {}, finished});
    };
    const Likelihood score = with_context(file, [&] {
      return score_text(engine_, document.text, config_.eos, [&] {
        tell(false);
        return went_on();
      });
    });
    if (stop_signal()) return;
    tell(true);
    report_.texts.push_back({file, score});
    write({{"file", file},
           {"log_likelihood", score.nats},
           {"bytes", score.bytes},
           {"bits_per_byte", score.bits_per_byte()}});
  }

  void score_rows(const Input& input) {
    ScoreReport::Choices choices{input.file};
    ScoreReport::Continuations continuations{input.file, 0, 0, {}};
    for (const ScoreRow& row : input.rows) {
      const auto scores = with_context(cat(input.file, ":", row.line), [&] {
        return score_after(engine_, row.prefix, row.texts, config_.eos, [&] { return went_on(); });
      });
      if (stop_signal()) return;
      if (row.is_choice)
        take(choices, row, scores);
      else
        take(continuations, row, scores[0]);
      tell_rows(input, choices.rows + continuations.rows);
    }
    if (choices.rows > 0) report_.choices.push_back(std::move(choices));
    if (continuations.rows > 0) report_.continuations.push_back(std::move(continuations));
  }

  void take(ScoreReport::Choices& out, const ScoreRow& row, const std::vector<Likelihood>& scores) {
    const std::size_t whole = best_choice(scores, false), by_byte = best_choice(scores, true);
    ++out.rows;
    out.right += whole == row.gold;
    out.right_per_byte += by_byte == row.gold;
    Json nats = Json::array(), bytes = Json::array();
    for (const auto& score : scores) {
      nats.push_back(score.nats);
      bytes.push_back(score.bytes);
    }
    write({{"file", out.file},
           {"line", row.line},
           {"log_likelihoods", nats},
           {"bytes", bytes},
           {"choice", whole},
           {"choice_per_byte", by_byte},
           {"gold", row.gold}});
  }

  void take(ScoreReport::Continuations& out, const ScoreRow& row, const Likelihood& score) {
    ++out.rows;
    out.greedy += score.greedy;
    out.sum.nats += score.nats;
    out.sum.bytes += score.bytes;
    write({{"file", out.file},
           {"line", row.line},
           {"log_likelihood", score.nats},
           {"bytes", score.bytes},
           {"bits_per_byte", score.bits_per_byte()},
           {"greedy", score.greedy}});
  }

  // The engine has computed more: may it go on?
  bool went_on() {
    if (const std::string warning = engine_.too_long(); !warned_ && !warning.empty()) {
      reporter_.warn(warning);
      warned_ = true;
    }
    return stop_signal() == 0;
  }

  void tell_rows(const Input& input, std::uint64_t done) {
    const std::uint64_t total = input.rows.size();
    reporter_.progress({input.file, done, total, "rows", {}, done == total});
  }

  void write(const Json& line) {
    if (details_) details_->write(dump_json(line) + "\n");
  }

  Engine& engine_;
  const ScoreConfig& config_;
  AtomicFile* details_;
  Reporter& reporter_;
  ScoreReport report_;
  bool warned_ = false;
};

}  // namespace

int score(const ScoreConfig& config, Reporter& reporter) {
  const std::vector<Input> inputs = read_inputs(config, reporter);
  std::unique_ptr<AtomicFile> details;
  if (!config.output.empty()) details = std::make_unique<AtomicFile>(config.output, config.force);
  EngineOptions options;
  options.slack = slack_for(inputs);
  const auto engine = open_engine(config.model, config.options, options);
  Run run(*engine, config, details.get(), reporter);
  for (const auto& input : inputs) {
    if (stop_signal()) break;
    run.score(input);
  }
  if (stop_signal()) return 128 + stop_signal();
  if (details) details->commit();
  const std::string text =
      config.json ? dump_json(to_json(run.report()), 2) + "\n" : to_text(run.report());
  std::fwrite(text.data(), 1, text.size(), stdout);  // run_program() tells of failures
  return 0;
}

}  // namespace blt::generate
