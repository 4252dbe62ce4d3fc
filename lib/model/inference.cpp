// SPDX-License-Identifier: MIT
#include "blt/model/inference.h"

#include <ATen/core/grad_mode.h>
#include <c10/core/DeviceGuard.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "blt/base/error.h"
#include "blt/nn/packed.h"
#include "blt/nn/transfer.h"

namespace blt::model {
namespace {

using Documents = std::span<const std::vector<patch::TokenId>>;

constexpr std::int64_t batch_positions = 16384;  // positions of one forward, more only for one long piece
constexpr std::int64_t cached_positions = 4096;  // the same where a batch's activations should stay in the CPU's cache
constexpr std::int64_t piece_positions = 32768;  // new positions of a piece of a long document

// Part of a document to run: positions [begin, end), of which those from `wanted` on are results.
struct Span {
  std::size_t document;
  std::int64_t begin, wanted, end;
};

// How far back a result can depend on: each layer sees window - 1 positions further.
std::vector<Span> cut_spans(Documents documents, std::int64_t layers, std::int64_t window) {
  std::vector<Span> out;
  for (std::size_t d = 0; d < documents.size(); ++d) {
    const auto size = static_cast<std::int64_t>(documents[d].size());
    const std::int64_t step = window > 0 ? piece_positions : std::max<std::int64_t>(size, 1);
    for (std::int64_t at = 0; at < size; at += step) {
      out.push_back({d, std::max<std::int64_t>(0, at - layers * (window - 1)), at, std::min(size, at + step)});
      if (window == 0) out.back().begin = 0;
    }
  }
  return out;
}

// Runs f(first, last) over groups of items of about so many positions.
template <class Items, class Size, class F>
void in_batches(const Items& items, std::int64_t most, Size&& size, F&& f) {
  std::size_t begin = 0;
  std::int64_t positions = 0;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::int64_t n = size(items[i]);
    if (i > begin && positions + n > most) {
      f(begin, i);
      begin = i;
      positions = 0;
    }
    positions += n;
  }
  if (begin < items.size()) f(begin, items.size());
}

// Calls run(batch) for batches of the documents' spans: tensors [rows, ...]. Then use(span, its wanted rows of each, on the host),
// while the device computes the next batch.
template <class Run, class Use>
void run_spans(const ByteLmConfig& config, Documents documents, std::int64_t most, at::Device device, Run&& run, Use&& use) {
  const at::NoGradGuard no_grad;
  const c10::DeviceGuard guard(device);  // the calling thread may be new
  struct Running {
    std::span<const Span> spans;
    std::vector<nn::HostCopy> results;
  };
  const auto spans = cut_spans(documents, config.transformer.layers, config.semantics.window);
  const auto finish = [&](const Running& batch) {
    std::int64_t row = 0;
    for (const Span& s : batch.spans) {
      const std::int64_t from = row + s.wanted - s.begin, to = row + s.end - s.begin;
      std::vector<at::Tensor> own;
      for (const auto& result : batch.results) own.push_back(result.get().slice(0, from, to));
      use(s, own);
      row = to;
    }
  };
  std::optional<Running> running;
  in_batches(spans, most, [](const Span& s) { return s.end - s.begin; }, [&](std::size_t first, std::size_t last) {
    std::vector<Segment> segments;
    for (std::size_t i = first; i < last; ++i) {
      const Span& s = spans[i];
      const auto& ids = documents[s.document];
      Segment segment;
      segment.ids = std::span(ids).subspan(static_cast<std::size_t>(s.begin), static_cast<std::size_t>(s.end - s.begin));
      if (static_cast<std::size_t>(s.end) < ids.size()) segment.next_id = ids[static_cast<std::size_t>(s.end)];
      segments.push_back(segment);
    }
    Running next{std::span(spans).subspan(first, last - first), {}};
    for (const at::Tensor& result : run(make_batch(segments, config.semantics, device))) next.results.emplace_back(result);
    if (running) finish(*running);
    running = std::move(next);
  });
  if (running) finish(*running);
}

// Errors: input, for NaN: damaged weights show here.
void append(std::vector<float>& out, const at::Tensor& values) {
  const at::Tensor host = values.to(at::kFloat).cpu().contiguous();
  const std::span<const float> numbers(host.data_ptr<float>(), static_cast<std::size_t>(host.numel()));
  require_numbers(numbers);
  out.insert(out.end(), numbers.begin(), numbers.end());
}

at::Tensor losses_of(const at::Tensor& logits, const Batch& batch) {
  at::Tensor losses;
  nn::cross_entropy(logits, batch.target, 1.0, &losses);
  return losses;
}

Json transformer_facts(const TransformerConfig& c) {
  return {{"dim", c.dim}, {"layers", c.layers}, {"heads", c.heads}, {"kv_heads", c.kv_heads}, {"ffn_dim", c.ffn_dim},
          {"max_positions", c.max_positions}, {"rope_theta", c.rope_theta}};
}

void add_heads(Json& facts, const std::optional<HeadsConfig>& heads, const TransformerConfig& local, const Semantics& semantics) {
  if (!heads) return;
  facts["prediction_heads"] = {{"count", heads->count},
                               {"kind", std::string(head_kind_names[static_cast<std::size_t>(heads->kind)])},
                               {"parameters", heads_parameter_count(*heads, local)},
                               {"flops_per_byte", heads_flops_per_byte(*heads, local, semantics, static_cast<double>(local.max_positions))}};
}

// Positions of one forward for entropies.
std::int64_t forward_positions(const ByteLmConfig& config, at::Device device) {
  if (device.is_cpu()) return cached_positions;
  const TransformerConfig& c = config.transformer;
  return nn::busy_rows(device, 6 * c.dim + 3 * c.ffn_dim + patch::vocab_size);
}

// run(batch) -> entropies [rows].
template <class Run>
std::vector<std::vector<float>> entropies_by(const ByteLmConfig& config, Documents documents, std::int64_t most, at::Device device, Run&& run) {
  std::vector<std::vector<float>> out(documents.size());
  const auto run_one = [&](const Batch& batch) { return std::vector<at::Tensor>{run(batch)}; };
  run_spans(config, documents, most, device, run_one,
            [&](const Span& s, const std::vector<at::Tensor>& results) { append(out[s.document], results[0]); });
  return out;
}

class ModelEntropySource final : public EntropySource {
 public:
  ModelEntropySource(std::unique_ptr<ByteLm> lm, const Pass& pass, at::Device device)
      : lm_(std::move(lm)), pass_(pass), device_(device), digest_(weights_digest(*lm_)) {
    if (pass_.type == at::kBFloat16) round_matrices(*lm_);
  }
  std::vector<std::vector<float>> entropies(Documents documents) override {
    return model::entropies(*lm_, documents, pass_, device_);
  }
  std::string digest() const override { return digest_; }
  // To a GPU several batches at once, so that it never waits for the host but at their end.
  std::uint64_t batch_bytes() const override {
    return static_cast<std::uint64_t>(device_.is_cpu() ? batch_positions : 8 * forward_positions(lm_->config, device_));
  }

 private:
  std::unique_ptr<ByteLm> lm_;
  Pass pass_;
  at::Device device_;
  std::string digest_;
};

nn::PackedLayers packed_layers(const ByteLm& lm, nn::Precision precision) {
  const TransformerConfig& c = lm.config.transformer;
  std::vector<nn::LayerWeights> layers;
  for (const Layer& w : lm.transformer.layers)
    layers.push_back({w.attention_norm, w.wq, w.wk, w.wv, w.wo, w.ffn_norm, w.w_gate, w.w_up, w.w_down});
  return {{{c.heads, c.kv_heads, c.head_dim()}, c.ffn_dim, c.rope_theta, c.norm_eps}, lm.embedding, layers, lm.norm, lm.head, precision};
}

// On the CPU, without ATen in the layers.
class PackedEntropySource final : public EntropySource {
 public:
  PackedEntropySource(ByteLm& lm, nn::Precision precision)
      : config_(lm.config), layers_(packed_layers(lm, precision)), digest_(weights_digest(lm)) {}
  std::vector<std::vector<float>> entropies(Documents documents) override {
    return entropies_by(config_, documents, cached_positions, at::kCPU,
                        [&](const Batch& b) { return layers_.entropies(b.ids, b.position, b.positions, b.local); });
  }
  std::string digest() const override { return digest_; }
  std::uint64_t batch_bytes() const override { return batch_positions; }

 private:
  ByteLmConfig config_;
  nn::PackedLayers layers_;
  std::string digest_;
};

// Documents in chunks that see nothing of each other, as Meta's preprocessing cuts them (spec 3.3).
class ChunkedEntropySource final : public EntropySource {
 public:
  explicit ChunkedEntropySource(std::unique_ptr<EntropySource> source) : source_(std::move(source)) {}
  std::vector<std::vector<float>> entropies(Documents documents) override {
    std::vector<std::vector<patch::TokenId>> chunks;
    for (const auto& ids : documents) {
      for (std::size_t at = 0; at < ids.size(); at += chunk) {
        const auto from = ids.begin() + static_cast<std::ptrdiff_t>(at);
        chunks.emplace_back(from, from + static_cast<std::ptrdiff_t>(std::min(chunk, ids.size() - at)));
      }
    }
    const auto found = source_->entropies(chunks);
    std::vector<std::vector<float>> out;
    std::size_t next = 0;
    for (const auto& ids : documents) {
      auto& values = out.emplace_back();
      while (values.size() < ids.size()) {
        values.insert(values.end(), found[next].begin(), found[next].end());
        ++next;
      }
    }
    return out;
  }
  std::string digest() const override { return source_->digest(); }
  std::uint64_t batch_bytes() const override { return source_->batch_bytes(); }

 private:
  static constexpr std::size_t chunk = 8192;
  std::unique_ptr<EntropySource> source_;
};

class ByteLmScorer final : public Scorer {
 public:
  ByteLmScorer(std::unique_ptr<ByteLm> lm, const Pass& pass, at::Device device)
      : lm_(std::move(lm)), pass_(pass), device_(device) {}

  std::vector<Result> score(Documents documents, bool keep_logits) override {
    std::vector<Result> out(documents.size());
    const auto run = [&](const Batch& batch) {
      const at::Tensor logits = lm_->forward(batch, pass_);
      std::vector<at::Tensor> results = {nn::entropy(logits), losses_of(logits, batch)};
      if (keep_logits) results.push_back(logits);
      return results;
    };
    run_spans(lm_->config, documents, batch_positions, device_, run, [&](const Span& s, const std::vector<at::Tensor>& results) {
      Result& r = out[s.document];
      append(r.entropies, results[0]);
      append(r.losses, results[1]);
      if (keep_logits) append(r.logits, results[2]);
    });
    for (auto& r : out) {
      if (!r.losses.empty()) r.losses.pop_back();  // the last position has no target
    }
    return out;
  }
  std::string kind() const override { return "byte_lm"; }
  Json facts() const override {
    Json facts = {{"kind", kind()}, {"parameters", parameter_count(lm_->config)}, {"window", lm_->config.semantics.window}};
    facts["transformer"] = transformer_facts(lm_->config.transformer);
    facts["flops_per_byte"] = flops_per_byte(lm_->config, static_cast<double>(lm_->config.transformer.max_positions));
    add_heads(facts, lm_->config.heads, lm_->config.transformer, lm_->config.semantics);
    return facts;
  }
  std::uint64_t batch_bytes() const override { return batch_positions; }

 private:
  std::unique_ptr<ByteLm> lm_;
  Pass pass_;
  at::Device device_;
};

// A run of whole patches of a document; positions from `wanted` on are results.
struct PatchSpan {
  std::size_t document;
  std::int64_t begin, wanted, end;
  std::vector<std::uint32_t> lengths;
};

// Pieces of at most `length` positions, each but the first with about half of it as context. Patches longer than that go
// alone.
std::vector<PatchSpan> cut_patches(std::size_t document, const std::vector<std::uint32_t>& lengths, std::int64_t count,
                                   std::int64_t length) {
  std::vector<std::int64_t> starts = {0};
  for (const auto n : lengths) starts.push_back(std::min<std::int64_t>(count, starts.back() + n));
  std::vector<PatchSpan> out;
  std::size_t next = 0;  // first patch without results yet
  while (next < lengths.size() && starts[next] < count) {
    std::size_t first = next;
    while (first > 0 && starts[next] - starts[first - 1] <= length / 2) --first;
    if (next == 0) first = 0;
    std::size_t last = next + 1;
    while (last < lengths.size() && starts[last + 1] - starts[first] <= length) ++last;
    PatchSpan span{document, starts[first], starts[next], starts[last],
                   {lengths.begin() + static_cast<std::ptrdiff_t>(first), lengths.begin() + static_cast<std::ptrdiff_t>(last)}};
    if (span.end < count) span.lengths.push_back(1);  // the next byte starts a patch
    span.lengths = with_first_byte_patch(span.lengths);
    out.push_back(std::move(span));
    next = last;
  }
  return out;
}

class BltScorer final : public Scorer {
 public:
  BltScorer(std::unique_ptr<Blt> blt, const Pass& pass, at::Device device)
      : blt_(std::move(blt)), pass_(pass), device_(device) {}

  std::vector<Result> score(Documents documents, bool keep_logits) override {
    const at::NoGradGuard no_grad;
    std::vector<Result> out(documents.size());
    std::vector<std::vector<float>> entropies(documents.size());
    if (blt_->patcher) entropies = model::entropies(*blt_->patcher, documents, pass_, device_);
    patch::Rules rules = blt_->config.patching;
    rules.include_next_token = !(blt_->config.semantics.open_end && rules.max_patch_length);
    if (patch::needs_entropies(rules.scheme) && !blt_->patcher) {
      throw input_error("this BLT has no entropy model", "--entropy-model DIR names one");
    }
    std::vector<PatchSpan> spans;
    for (std::size_t d = 0; d < documents.size(); ++d) {
      if (documents[d].empty()) continue;
      out[d].patch_lengths = patch::cut(documents[d], entropies[d], rules);
      out[d].entropies = std::move(entropies[d]);
      const auto count = static_cast<std::int64_t>(documents[d].size());  // traces are exact, scores cost what training did
      const auto own = with_first_byte_patch(out[d].patch_lengths);
      for (auto& span : cut_patches(d, own, count, keep_logits ? count : blt_->config.encoder.max_positions)) {
        spans.push_back(std::move(span));
      }
    }
    in_batches(spans, batch_positions, [](const PatchSpan& s) { return s.end - s.begin; },
               [&](std::size_t first, std::size_t last) { run(documents, std::span(spans).subspan(first, last - first), keep_logits, out); });
    for (auto& r : out) {
      if (!r.losses.empty()) r.losses.pop_back();
    }
    return out;
  }
  std::string kind() const override { return "blt"; }
  Json facts() const override {
    const BltConfig& c = blt_->config;
    const double size = c.patching.patch_size > 1 ? c.patching.patch_size : 4.5;
    Json facts = {{"kind", kind()}, {"parameters", parameter_count(c)}, {"window", c.semantics.window}};
    facts["encoder"] = transformer_facts(c.encoder);
    facts["latent"] = transformer_facts(c.latent);
    facts["decoder"] = transformer_facts(c.decoder);
    facts["cross_k"] = c.cross_k;
    facts["hash"] = {{"group_sizes", c.hash_group_sizes}, {"functions", c.hash_functions}, {"rows", c.hash_rows}};
    facts["patching"] = rules_to_json(c.patching);
    if (c.patcher) facts["patcher"] = transformer_facts(c.patcher->transformer);
    if (c.patcher) facts["patcher_parameters"] = parameter_count(*c.patcher);
    facts["flops_per_byte"] = flops_per_byte(c, size, static_cast<double>(c.encoder.max_positions));
    add_heads(facts, c.heads, c.decoder, c.semantics);
    return facts;
  }
  std::uint64_t batch_bytes() const override { return batch_positions; }

 private:
  void run(Documents documents, std::span<const PatchSpan> spans, bool keep_logits, std::vector<Result>& out) {
    std::vector<Segment> segments;
    for (const PatchSpan& s : spans) {
      const auto& ids = documents[s.document];
      Segment segment;
      segment.ids = std::span(ids).subspan(static_cast<std::size_t>(s.begin), static_cast<std::size_t>(s.end - s.begin));
      segment.patch_lengths = s.lengths;
      if (static_cast<std::size_t>(s.end) < ids.size()) segment.next_id = ids[static_cast<std::size_t>(s.end)];
      segments.push_back(segment);
    }
    const Batch batch = make_batch(segments, blt_->config.semantics, blt_->config.cross_k, device_);
    const at::Tensor logits = blt_->forward(batch, pass_), losses = losses_of(logits, batch);
    std::int64_t row = 0;
    for (const PatchSpan& s : spans) {
      const std::int64_t from = row + s.wanted - s.begin, to = row + s.end - s.begin;
      append(out[s.document].losses, losses.slice(0, from, to));
      if (keep_logits) append(out[s.document].logits, logits.slice(0, from, to));
      row = to;
    }
  }

  std::unique_ptr<Blt> blt_;
  Pass pass_;
  at::Device device_;
};

// "auto" is float32 here: boundaries must not depend on what the CPU can multiply.
at::ScalarType inference_type(const std::string& dtype, at::Device device) {
  return dtype == "auto" ? at::kFloat : nn::compute_type(dtype, device);
}

Pass pass_of(const ModelOptions& options, at::Device device) {
  nn::set_threads(static_cast<int>(options.threads));
  return {inference_type(options.dtype, device)};
}

}  // namespace

void require_numbers(std::span<const float> values) {
  if (std::any_of(values.begin(), values.end(), [](float x) { return std::isnan(x); })) {
    throw input_error("the model computes values that are no numbers (NaN): its weights are damaged");
  }
}

std::vector<std::vector<float>> entropies(ByteLm& lm, Documents documents, const Pass& pass, at::Device device) {
  return entropies_by(lm.config, documents, forward_positions(lm.config, device), device, [&](const Batch& batch) { return nn::entropy(lm.forward(batch, pass)); });
}

void round_matrices(ByteLm& lm) {
  lm.visit("", [](const std::string& name, at::Tensor& parameter) {
    if (parameter.dim() == 2 && name != "embed_tokens.weight") parameter = parameter.to(at::kBFloat16);
  });
}

std::unique_ptr<EntropySource> make_entropy_source(std::unique_ptr<ByteLm> lm, const std::string& dtype, at::Device device) {
  if (dtype == "int8") {
    if (!device.is_cpu()) throw usage_error("int8 weights are for the CPU");
    return std::make_unique<PackedEntropySource>(*lm, nn::Precision::int8);
  }
  const at::ScalarType type = inference_type(dtype, device);
  // Our kernels multiply with vectors; ATen's (oneDNN) also with AMX, whose peak is several times theirs.
  if (!device.is_cpu() || (type == at::kBFloat16 && kernels::cpu_has_amx_bf16())) {
    return std::make_unique<ModelEntropySource>(std::move(lm), Pass{type}, device);
  }
  return std::make_unique<PackedEntropySource>(*lm, type == at::kFloat ? nn::Precision::float32 : nn::Precision::bfloat16);
}

std::unique_ptr<Scorer> make_scorer(std::unique_ptr<Blt> blt, const Pass& pass, at::Device device) {
  return std::make_unique<BltScorer>(std::move(blt), pass, device);
}
std::unique_ptr<Scorer> make_scorer(std::unique_ptr<ByteLm> lm, const Pass& pass, at::Device device) {
  return std::make_unique<ByteLmScorer>(std::move(lm), pass, device);
}

std::unique_ptr<EntropySource> open_entropy_source(const std::string& folder, const ModelOptions& raw_options) {
  ModelOptions options = raw_options;
  const bool chunked = options.compat == "meta-chunk";
  if (chunked) options.compat = "meta";
  const at::Device device = nn::open_device(options.device);
  nn::set_threads(static_cast<int>(options.threads));
  auto source = make_entropy_source(load_entropy_model(folder, load_options(options, device)), options.dtype, device);
  if (chunked) return std::make_unique<ChunkedEntropySource>(std::move(source));
  return source;
}

std::unique_ptr<Scorer> open_scorer(const std::string& folder, const ModelOptions& options) {
  const at::Device device = nn::open_device(options.device);
  const Pass pass = pass_of(options, device);
  if (model_kind(folder) == Kind::byte_lm) return make_scorer(load_byte_lm(folder, load_options(options, device)), pass, device);
  return make_scorer(load_blt(folder, load_options(options, device)), pass, device);
}

}  // namespace blt::model
