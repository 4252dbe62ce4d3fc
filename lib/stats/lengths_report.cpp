// SPDX-License-Identifier: MIT
#include "blt/base/error.h"
#include "blt/base/table.h"
#include "blt/base/units.h"
#include "blt/stats/lengths.h"
#include "blt/stats/svg.h"
#include "blt/text/utf8.h"

namespace blt::stats {
namespace {

Json group_json(const LengthsReport& report, const LengthsReport::Group& group, bool histogram) {
  Json measures = Json::array();
  for (std::size_t m = 0; m < report.measures.size(); ++m) {
    Json entry = {{"name", report.measures[m].name}};
    entry.update(lengths_json(group.lengths[m], histogram));
    measures.push_back(std::move(entry));
  }
  return {
      {"documents", group.documents}, {"bytes", group.bytes}, {"measures", std::move(measures)}};
}

std::string shown(double value) {
  return format_fixed(value,
                      value == static_cast<double>(static_cast<std::int64_t>(value)) ? 0 : 1);
}

std::string overall_table(const LengthsReport& report) {
  Table table({"measure", "pieces", "mean", "median", "p90", "p99", "max"});
  for (std::size_t m = 0; m < report.measures.size(); ++m) {
    const LengthCounts& lengths = report.all.lengths[m];
    table.add({text::escape(report.measures[m].name) + " (" + report.measures[m].kind + ")",
               std::to_string(lengths.count()), format_fixed(lengths.mean(), 3),
               shown(lengths.median()), std::to_string(lengths.percentile(90)),
               std::to_string(lengths.percentile(99)), std::to_string(lengths.max())});
  }
  return table.text();
}

std::string group_table(const LengthsReport& report) {
  std::vector<std::string> header = {"group", "documents", "bytes"};
  for (const auto& measure : report.measures) header.push_back(text::escape(measure.name));
  Table table(std::move(header));
  for (const auto& group : report.groups) {
    std::vector<std::string> row = {group.name.empty() ? "(none)" : text::escape(group.name),
                                    std::to_string(group.documents), std::to_string(group.bytes)};
    for (const auto& lengths : group.lengths) row.push_back(format_fixed(lengths.mean(), 3));
    table.add(std::move(row));
  }
  return table.text();
}

}  // namespace

Json to_json(const LengthsReport& report) {
  Json out = group_json(report, report.all, true);
  for (std::size_t m = 0; m < report.measures.size(); ++m) {
    out["measures"][m]["kind"] = report.measures[m].kind;
    out["measures"][m]["facts"] = report.measures[m].facts;
  }
  out["skipped"] = report.skipped;
  out["groups"] = Json::array();
  for (const auto& group : report.groups) {
    Json entry = {{"group", group.name}};
    entry.update(group_json(report, group, false));
    out["groups"].push_back(std::move(entry));
  }
  return out;
}

std::string to_text(const LengthsReport& report) {
  std::string out = cat(report.all.documents, " documents, ", report.all.bytes,
                        " bytes; lengths in bytes of text\n\n");
  out += overall_table(report);
  for (const auto& measure : report.measures) {
    if (measure.facts.contains("fitted_to")) {
      out += cat("\n", text::escape(measure.name), ": threshold ",
                 format_double(measure.facts["threshold"]), " nats, fitted\n");
    }
  }
  if (!report.groups.empty()) out += "\nMean length by group\n\n" + group_table(report);
  return out;
}

std::string to_svg(const LengthsReport& report) {
  std::vector<HistogramSeries> series;
  for (std::size_t m = 0; m < report.measures.size(); ++m) {
    series.push_back({report.measures[m].name, report.all.lengths[m].histogram()});
  }
  return histogram_svg(series, {cat("Lengths over ", report.all.documents, " documents, ",
                                    format_bytes(static_cast<double>(report.all.bytes))),
                                "length in bytes", "share of patches or tokens (%)"});
}

}  // namespace blt::stats
