// SPDX-License-Identifier: MIT
#include <cmath>

#include "blt/base/table.h"
#include "blt/base/units.h"
#include "blt/generate/score.h"
#include "blt/text/utf8.h"

namespace blt::generate {
namespace {

double share(std::uint64_t part, std::uint64_t rows) {
  return rows == 0 ? 0 : static_cast<double>(part) / static_cast<double>(rows);
}

// Of a share among independent rows: sqrt(p (1 - p) / n).
double standard_error(std::uint64_t part, std::uint64_t rows) {
  const double p = share(part, rows);
  return rows == 0 ? 0 : std::sqrt(p * (1 - p) / static_cast<double>(rows));
}

Json likelihood_json(const Likelihood& x) {
  return {{"log_likelihood", x.nats}, {"bytes", x.bytes}, {"bits_per_byte", x.bits_per_byte()}};
}

void add(Likelihood& sum, const Likelihood& part) {
  sum.nats += part.nats;
  sum.bytes += part.bytes;
}

Likelihood sum_of(const std::vector<ScoreReport::Text>& texts) {
  Likelihood sum;
  for (const auto& text : texts) add(sum, text.score);
  return sum;
}

std::string text_table(const std::vector<ScoreReport::Text>& texts) {
  Table table({"text", "bits/byte", "bytes", "log-likelihood"});
  const auto row = [&](const std::string& name, const Likelihood& x) {
    table.add({name, format_fixed(x.bits_per_byte(), 4), std::to_string(x.bytes),
               format_fixed(x.nats, 3)});
  };
  for (const auto& text : texts) row(text::escape(text.file), text.score);
  if (texts.size() > 1) row("all", sum_of(texts));
  return table.text();
}

std::string choice_table(const std::vector<ScoreReport::Choices>& files) {
  Table table({"choices", "rows", "accuracy", "s.e.", "by byte", "s.e."});
  for (const auto& x : files) {
    table.add({text::escape(x.file), std::to_string(x.rows),
               format_fixed(share(x.right, x.rows), 4),
               format_fixed(standard_error(x.right, x.rows), 4),
               format_fixed(share(x.right_per_byte, x.rows), 4),
               format_fixed(standard_error(x.right_per_byte, x.rows), 4)});
  }
  return table.text();
}

std::string continuation_table(const std::vector<ScoreReport::Continuations>& files) {
  Table table({"continuations", "rows", "greedy", "s.e.", "bits/byte", "perplexity"});
  for (const auto& x : files) {
    table.add({text::escape(x.file), std::to_string(x.rows),
               format_fixed(share(x.greedy, x.rows), 4),
               format_fixed(standard_error(x.greedy, x.rows), 4),
               format_fixed(x.sum.bits_per_byte(), 4), format_fixed(x.perplexity(), 2)});
  }
  return table.text();
}

}  // namespace

double ScoreReport::Continuations::perplexity() const {
  return rows == 0 ? 0 : std::exp(-sum.nats / static_cast<double>(rows));
}

Json to_json(const ScoreReport& report) {
  Json out = {{"model", report.kind}, {"eos", report.eos}};
  out["texts"] = Json::array();
  for (const auto& text : report.texts) {
    Json entry = {{"file", text.file}};
    entry.update(likelihood_json(text.score));
    out["texts"].push_back(std::move(entry));
  }
  if (!report.texts.empty()) out["all_texts"] = likelihood_json(sum_of(report.texts));
  out["choices"] = Json::array();
  for (const auto& x : report.choices) {
    out["choices"].push_back(
        {{"file", x.file},
         {"rows", x.rows},
         {"accuracy", share(x.right, x.rows)},
         {"accuracy_error", standard_error(x.right, x.rows)},
         {"accuracy_per_byte", share(x.right_per_byte, x.rows)},
         {"accuracy_per_byte_error", standard_error(x.right_per_byte, x.rows)}});
  }
  out["continuations"] = Json::array();
  for (const auto& x : report.continuations) {
    Json entry = {{"file", x.file},
                  {"rows", x.rows},
                  {"greedy", share(x.greedy, x.rows)},
                  {"greedy_error", standard_error(x.greedy, x.rows)},
                  {"perplexity", x.perplexity()}};
    entry.update(likelihood_json(x.sum));
    out["continuations"].push_back(std::move(entry));
  }
  return out;
}

std::string to_text(const ScoreReport& report) {
  std::string out;
  const auto part = [&](const auto& rows, auto table) {
    if (!rows.empty()) out += (out.empty() ? "" : "\n") + table(rows);
  };
  part(report.texts, text_table);
  part(report.choices, choice_table);
  part(report.continuations, continuation_table);
  return out;
}

}  // namespace blt::generate
