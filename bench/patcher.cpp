// SPDX-License-Identifier: MIT
// Claim: the entropies of a corpus cost little more than their matrix products. Runs the entropy model over sets of documents, in turns
// over types, and beside each run a plain square matrix product of the same type with as many threads.
#include <ATen/ops/mm.h>
#include <ATen/ops/rand.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <map>

#include "bench.h"
#include "blt/base/error.h"
#include "blt/base/table.h"
#include "blt/base/threads.h"
#include "blt/base/units.h"
#include "blt/io/documents.h"
#include "blt/model/inference.h"

using namespace blt;
using bench::median;

namespace {

struct BenchConfig {
  std::string model;
  std::vector<std::string> corpora;
  std::vector<std::string> dtypes = {"float32"};
  std::int64_t rounds = 3;
  std::string compat = "auto";
  bool cpu_time = false, json = false, entropies = false;
};

// Seconds of the wall clock, or of this process.
struct Clock {
  bool cpu_time = false;
  double now() const {
    if (cpu_time) return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  }
};

using Documents = std::vector<std::vector<patch::TokenId>>;

struct Case {
  std::string name;
  Documents documents;
  std::int64_t positions = 0;
  double flops = 0;  // of products and attention, as they must be done
};

// Two for each number of a matrix, and four times the width for each pair of positions that see each other.
double flops_of(const Documents& documents, const model::ByteLmConfig& c) {
  const model::TransformerConfig& t = c.transformer;
  const auto layers = static_cast<double>(t.layers), dim = static_cast<double>(t.dim);
  const double kv = static_cast<double>(t.kv_heads * t.head_dim()), ffn = static_cast<double>(t.ffn_dim);
  const double matrices = layers * (2 * dim * dim + 2 * dim * kv + 3 * dim * ffn) + dim * patch::vocab_size;
  const std::int64_t window = c.semantics.window;
  double positions = 0, pairs = 0;
  for (const auto& ids : documents) {
    const auto n = static_cast<std::int64_t>(ids.size()), full = window > 0 ? std::min(n, window) : n;
    positions += static_cast<double>(n);
    pairs += static_cast<double>(full) * static_cast<double>(full + 1) / 2 + static_cast<double>(n - full) * static_cast<double>(full);
  }
  return 2 * matrices * positions + 4 * layers * dim * pairs;
}

Case read_case(const std::string& file, const model::ByteLmConfig& config) {
  Case out;
  out.name = std::filesystem::path(file).stem().string();
  io::DocumentReader reader({file}, {});
  io::Document document;
  while (reader.next(document)) {
    out.documents.push_back(patch::encode(document.text));
    out.positions += static_cast<std::int64_t>(out.documents.back().size());
  }
  out.flops = flops_of(out.documents, config);
  return out;
}

// FLOP/s of a square product, the best of three.
class SquareProduct {
 public:
  explicit SquareProduct(at::ScalarType type) : a_(at::rand({n, n}).to(type)), b_(at::rand({n, n}).to(type)) {}
  double measure(const Clock& clock) const {
    double best = 0;
    for (int pass = 0; pass < 3; ++pass) {
      const double start = clock.now();
      const at::Tensor product = at::mm(a_, b_);
      best = std::max(best, 2.0 * n * n * n / (clock.now() - start));
    }
    return best;
  }

 private:
  static constexpr std::int64_t n = 2048;
  at::Tensor a_, b_;
};

struct Measurement {
  double seconds, product;  // product: FLOP/s
};

Json summary(const std::string& dtype, const Case& c, const std::vector<Measurement>& runs) {
  std::vector<double> rates, products, shares;
  for (const auto& run : runs) {
    rates.push_back(static_cast<double>(c.positions) / run.seconds);
    products.push_back(run.product);
    shares.push_back(c.flops / run.seconds / run.product);
  }
  return {{"dtype", dtype},
          {"corpus", c.name},
          {"documents", c.documents.size()},
          {"positions", c.positions},
          {"positions_per_second", median(rates)},
          {"flops_per_position", c.flops / static_cast<double>(c.positions)},
          {"square_product_flops", median(products)},
          {"share_of_product", median(shares)}};
}

std::string to_text(const Json& rows) {
  Table table({"dtype", "corpus", "documents", "kB/s", "GFLOP/s", "product", "share"});
  for (const Json& row : rows) {
    const double rate = row["positions_per_second"];
    table.add({row["dtype"], row["corpus"], std::to_string(row["documents"].get<std::size_t>()), format_fixed(rate / 1e3, 2),
               format_fixed(rate * row["flops_per_position"].get<double>() / 1e9, 1),
               format_fixed(row["square_product_flops"].get<double>() / 1e9, 1), format_fixed(row["share_of_product"], 2)});
  }
  return table.text();
}

int run(const BenchConfig& c, config::Invocation& invocation) {
  const int threads = resolve_threads(static_cast<int>(invocation.common.threads));
  if (c.cpu_time && threads > 1) throw usage_error("--cpu-time is for one thread (-j 1): others' waiting would count");
  const Clock clock{c.cpu_time};
  ModelOptions options;
  options.compat = c.compat;
  options.threads = threads;
  const auto shape = model::load_entropy_model(c.model, model::load_options(options, at::kCPU))->config;
  std::vector<Case> cases;
  for (const auto& file : c.corpora) cases.push_back(read_case(file, shape));
  std::vector<std::unique_ptr<EntropySource>> sources;
  std::vector<SquareProduct> products;
  for (const auto& dtype : c.dtypes) {
    options.dtype = dtype;
    sources.push_back(model::open_entropy_source(c.model, options));
    products.emplace_back(dtype == "bfloat16" && kernels::cpu_has_bf16() ? at::kBFloat16 : at::kFloat);
  }
  Json rows = Json::array(), entropies = Json::object();
  std::map<std::pair<std::size_t, std::size_t>, std::vector<Measurement>> runs;
  for (std::int64_t round = -1; round < c.rounds; ++round) {  // the first only warms
    for (std::size_t i = 0; i < cases.size(); ++i) {
      for (std::size_t d = 0; d < sources.size(); ++d) {
        const double before = round < 0 ? 0 : products[d].measure(clock);
        const double start = clock.now();
        const auto values = sources[d]->entropies(cases[i].documents);
        const double seconds = clock.now() - start;
        if (c.entropies) entropies[c.dtypes[d]][cases[i].name] = values;
        if (round >= 0) runs[{d, i}].push_back({seconds, (before + products[d].measure(clock)) / 2});
      }
    }
  }
  for (const auto& [key, measured] : runs) rows.push_back(summary(c.dtypes[key.first], cases[key.second], measured));
  Json report = {{"threads", threads}, {"runs", rows}};
  if (c.entropies) report["entropies"] = entropies;
  const std::string text = c.json ? dump_json(report) + "\n" : to_text(rows);
  std::fwrite(text.data(), 1, text.size(), stdout);
  return 0;
}

config::Command make_command(BenchConfig& c) {
  config::Command command;
  config::Fields& fields = command.fields;
  fields.positional("MODEL", &c.model, "folder of a byte LM or a BLT").required = true;
  fields.add("corpora", "--corpus", &c.corpora, "FILE", "documents; repeat it for more sets").required = true;
  fields.add("cpu_time", "--cpu-time", &c.cpu_time, "", "measure the process' own time: for busy machines, with -j 1");
  fields.add("entropies", "--entropies", &c.entropies, "", "put the entropies into the JSON report");
  bench::add_common_fields(fields, &c.rounds, &c.dtypes, &c.compat, &c.json);
  command.run = [&c](config::Invocation& invocation) { return run(c, invocation); };
  return command;
}

}  // namespace

int main(int argc, char** argv) {
  BenchConfig config;
  return bench::run_program("bench_patcher", "Speed of the entropy model beside a plain matrix product", make_command(config), argc, argv);
}
