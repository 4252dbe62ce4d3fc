// SPDX-License-Identifier: MIT
// Model folders -> engines.
#include <algorithm>
#include <set>

#include "blt/base/error.h"
#include "blt/base/threads.h"
#include "blt/model/checkpoint.h"
#include "blt/nn/memory.h"
#include "engines.h"

namespace blt::generate {
namespace {

bool is_matrix(const std::string& name) {
  const auto ends_with = [&](std::string_view tail) {
    return name.size() >= tail.size() &&
           std::string_view(name).substr(name.size() - tail.size()) == tail;
  };
  return ends_with("proj.weight") || ends_with("projection.weight") || ends_with("lm_head.weight");
}

// A byte reads every matrix once, so its time goes with their size. They lie one after the other, as they are read.
class Narrowing {
 public:
  Narrowing(Weights weights, at::Device device) : weights_(weights), device_(device) {
    if (weights == Weights::int8 && !device.is_cpu()) throw usage_error("int8 weights are for the CPU");
  }

  void count(const at::Tensor& parameter) { size_ += bytes(parameter); }
  // After all are counted.
  void narrow(at::Tensor& parameter) {
    if (!memory_.defined()) memory_ = nn::empty_in_huge_pages({size_}, at::TensorOptions().dtype(at::kByte).device(device_));
    const auto columns = row_bytes(parameter);
    const at::Tensor room = memory_.slice(0, used_, used_ + parameter.size(0) * columns).view({parameter.size(0), columns});
    used_ += bytes(parameter);
    const at::Tensor to = room.view(weights_ == Weights::int8 ? at::kChar : device_.is_cpu() ? at::kShort : at::kBFloat16);
    if (device_.is_cpu()) nn::narrow(parameter, to);
    else to.copy_(parameter);
    parameter = to;
  }

 private:
  std::int64_t row_bytes(const at::Tensor& parameter) const {
    return weights_ == Weights::int8 ? parameter.size(1) + kernels::i8_scale_bytes : parameter.size(1) * 2;
  }
  std::int64_t bytes(const at::Tensor& parameter) const { return (parameter.size(0) * row_bytes(parameter) + 63) / 64 * 64; }

  Weights weights_;
  at::Device device_;
  std::int64_t size_ = 0, used_ = 0;
  at::Tensor memory_;
};

// Without hash tables.
void visit(model::ByteLm& lm, const model::ParameterVisitor& visitor, bool) { lm.visit("", visitor); }
void visit(model::Blt& blt, const model::ParameterVisitor& visitor, bool with_patcher) { blt.visit(visitor, false, with_patcher); }

// Calls f(matrix) for those of the parameters that each(visitor) visits.
template <class Each, class F>
void each_matrix(Each&& each, F&& f) {
  each(model::ParameterVisitor([&](const std::string& name, at::Tensor& parameter) {
    if (is_matrix(name)) f(parameter);
  }));
}

bool is_narrow(const at::Tensor& w) { return w.scalar_type() == at::kShort || w.scalar_type() == at::kChar; }

// Whether all matrices hold numbers of bfloat16, as checkpoints in that type do: then they may be as narrow again. Those that lie
// in their file are float32 there, and are not looked at, so that they are not read.
template <class Each>
bool fit_bfloat16(const std::set<const void*>& mapped, Each&& each) {
  bool fit = true;
  each_matrix(each, [&](const at::Tensor& w) {
    if (!fit || w.scalar_type() == at::kShort) return;
    fit = w.device().is_cpu() && w.scalar_type() == at::kFloat && w.is_contiguous() && !mapped.count(w.data_ptr());
    if (!fit) return;
    const auto* bits = static_cast<const std::uint32_t*>(w.data_ptr());
    fit = std::all_of(bits, bits + w.numel(), [](std::uint32_t number) { return (number & 0xffff) == 0; });
  });
  return fit;
}

// Makes the matrices that each(visitor) visits as narrow as asked, or as can be without a loss -> whether there is none. anew: for
// functions that would round activations to narrow weights, so that float32 is float32.
template <class Each>
bool narrow(Weights asked, at::Device device, const std::set<const void*>& mapped, bool anew, Each&& each) {
  const bool fit = asked == Weights::float32 && !anew && fit_bfloat16(mapped, each);
  if (fit) asked = Weights::bfloat16;
  if (asked == Weights::float32) {
    each_matrix(each, [](at::Tensor& w) {
      if (is_narrow(w)) w = nn::in_float(w);  // for an engine before this one
    });
    return false;
  }
  Narrowing narrowing(asked, device);
  const auto each_wide = [&](auto&& f) {
    each_matrix(each, [&](at::Tensor& w) {
      if (!is_narrow(w)) return f(w);
      if (w.scalar_type() != (asked == Weights::int8 ? at::kChar : at::kShort)) throw internal_error("weights that another engine made narrow");
    });
  };
  each_wide([&](at::Tensor& w) { narrowing.count(w); });
  each_wide([&](at::Tensor& w) { narrowing.narrow(w); });
  return fit;
}

// An open end's logits change when the text grows: nothing can be kept.
bool computes_anew(const model::ByteLm&, const EngineOptions& options) { return options.exact; }
bool computes_anew(const model::Blt& blt, const EngineOptions& options) {
  return options.exact || (blt.config.semantics.open_end && blt.config.patching.max_patch_length);
}

void narrow_patcher(model::ByteLm&, const EngineOptions&, bool) {}
void narrow_patcher(model::Blt& blt, const EngineOptions& options, bool anew) {
  if (!blt.patcher) return;
  const auto each = [&](const model::ParameterVisitor& visitor) { blt.patcher->visit("", visitor); };
  narrow(options.entropy_weights, blt.embedding.device(), blt.mapped, anew, each);
  if (anew) each_matrix(each, [](at::Tensor& w) { w = nn::in_float(w); });
}

// -> whether the model's own matrices are narrow without a loss.
template <class Model>
bool narrow_all(Model& model, const EngineOptions& options) {
  const at::Device device = model.embedding.device();
  const bool anew = computes_anew(model, options);
  const bool lossless =
      narrow(options.weights, device, model.mapped, anew, [&](const model::ParameterVisitor& visitor) { visit(model, visitor, false); });
  if (model.heads && options.heads != UseHeads::no)
    narrow(options.weights, device, model.mapped, anew || !lossless, [&](const model::ParameterVisitor& visitor) { model.heads->visit(visitor); });
  narrow_patcher(model, options, anew);
  return lossless;
}

// Of activations.
at::ScalarType type_of(const EngineOptions& options, at::Device device) {
  return options.weights == Weights::bfloat16 && !device.is_cpu() ? at::kBFloat16 : at::kFloat;
}

Weights weights_of(const std::string& dtype, at::Device device) {
  if (dtype == "int8") return Weights::int8;
  return nn::compute_type(dtype, device) == at::kBFloat16 ? Weights::bfloat16 : Weights::float32;
}

// Weights that a byte touches for each thread: threads with less cost more in waiting than they save (docs/architecture.md).
constexpr std::int64_t shared_work = 1'000'000;

void choose_threads(std::int64_t asked, std::int64_t weights, std::size_t engines) {
  std::int64_t threads = resolve_threads(static_cast<int>(asked)) / static_cast<std::int64_t>(engines);
  if (asked == 0) threads = std::min(threads, weights / shared_work);
  nn::set_threads(static_cast<int>(std::max<std::int64_t>(threads, 1)));
}

std::int64_t weights_a_byte(const model::Blt& blt) {
  const auto& c = blt.config;
  const std::int64_t rows = blt.hash.tables() * c.hash_rows * c.encoder.dim;
  return model::parameter_count(c) - rows + (c.patcher ? model::parameter_count(*c.patcher) : 0);
}

void check_options(const EngineOptions& options) {
  if (options.chunk < 1 || options.slack < 1) throw usage_error("chunk and slack are at least 1");
}

// lossless: the weights are narrow, and float32 all the same.
std::unique_ptr<EngineBase> engine_over(std::shared_ptr<model::ByteLm> lm, const EngineOptions& options, bool lossless) {
  const at::ScalarType type = type_of(options, lm->embedding.device());
  if (computes_anew(*lm, options)) return std::make_unique<ExactByteLm>(std::move(lm), type);
  return std::make_unique<CachedByteLmEngine>(std::move(lm), type, options, lossless);
}

std::unique_ptr<EngineBase> engine_over(std::shared_ptr<model::Blt> blt, const EngineOptions& options, bool lossless) {
  const at::ScalarType type = type_of(options, blt->embedding.device());
  if (computes_anew(*blt, options)) return std::make_unique<ExactBlt>(std::move(blt), type);
  return std::make_unique<CachedBltEngine>(std::move(blt), type, options, lossless);
}

// Of the weights that still lie in their file.
template <class Model>
std::shared_ptr<PageMover> page_mover(Model& model) {
  const auto mover = std::make_shared<PageMover>();
  const model::ParameterVisitor add = [&](const std::string&, at::Tensor& parameter) {
    if (model.mapped.count(parameter.data_ptr())) mover->add({static_cast<const std::byte*>(parameter.data_ptr()), parameter.nbytes()});
  };
  visit(model, add, true);
  if (model.heads) model.heads->visit(add);
  return mover;
}

template <class Model>
std::vector<std::unique_ptr<Engine>> engines_over(std::shared_ptr<Model> model, const EngineOptions& options,
                                                  std::size_t count) {
  check_options(options);
  const bool lossless = narrow_all(*model, options);
  const auto pages = page_mover(*model);
  std::vector<std::unique_ptr<Engine>> engines;
  while (engines.size() < count) {
    auto engine = engine_over(model, options, lossless);
    engine->set_pages(pages);
    engines.push_back(std::move(engine));
  }
  return engines;
}

}  // namespace

std::unique_ptr<Engine> make_engine(std::shared_ptr<model::ByteLm> lm, const EngineOptions& options) {
  return std::move(engines_over(std::move(lm), options, 1).front());
}

std::unique_ptr<Engine> make_engine(std::shared_ptr<model::Blt> blt, const EngineOptions& options) {
  return std::move(engines_over(std::move(blt), options, 1).front());
}

std::unique_ptr<Engine> open_engine(const std::string& folder, const ModelOptions& asked,
                                    EngineOptions options) {
  return std::move(open_engines(folder, asked, options, 1).front());
}

std::vector<std::unique_ptr<Engine>> open_engines(const std::string& folder, const ModelOptions& asked,
                                                  EngineOptions options, std::size_t count) {
  const at::Device device = nn::open_device(asked.device);
  options.weights = weights_of(asked.dtype, device);
  options.entropy_weights = asked.entropy_dtype == "same" ? options.weights : weights_of(asked.entropy_dtype, device);
  nn::set_threads(static_cast<int>(asked.threads));  // for loading
  std::vector<std::unique_ptr<Engine>> engines;
  std::int64_t weights = 0;
  if (model::model_kind(folder) == model::Kind::byte_lm) {
    std::shared_ptr<model::ByteLm> lm = model::load_byte_lm(folder, model::load_options(asked, device));
    weights = model::parameter_count(lm->config);
    engines = engines_over(std::move(lm), options, count);
  } else {
    std::shared_ptr<model::Blt> blt = model::load_blt(folder, model::load_options(asked, device));
    weights = weights_a_byte(*blt);
    engines = with_context(folder, [&] { return engines_over(std::move(blt), options, count); });
  }
  choose_threads(asked.threads, weights, count);  // last: it ends the pool of threads that loading used
  return engines;
}

}  // namespace blt::generate
