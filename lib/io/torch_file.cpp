// SPDX-License-Identifier: MIT
#include "blt/io/torch_file.h"

#include "blt/base/error.h"
#include "pickle.h"
#include "zip_archive.h"

namespace blt::io {
namespace {

using Kind = PickleValue::Kind;

constexpr int most_nested = 32;
constexpr std::uint64_t most_values = 4'000'000;  // a pickle can name one dict often, and dicts of dicts ever more so

class Collector {
 public:
  Collector(const ZipMembers& members, std::string root, TensorMap& out)
      : members_(members), root_(std::move(root)), out_(out) {}

  void collect(const PickleValue& value, const std::string& path, int depth) {
    if (depth > most_nested || ++visited_ > most_values) throw input_error("pickle: nested too deeply or too often");
    if (value.kind == Kind::tensor) {
      auto view = with_context(cat("tensor \"", path, "\""), [&] { return view_of(value); });
      if (!out_.emplace(path, std::move(view)).second) throw input_error(cat("tensor \"", path, "\" comes twice"));
    }
    if (value.kind != Kind::dict) return;
    for (const auto& [key, item] : value.entries) {
      if (key->kind != Kind::text) continue;  // such a dict holds no weights
      collect(*item, path.empty() ? key->text : cat(path, "/", key->text), depth + 1);
    }
  }

 private:
  TensorView view_of(const PickleValue& tensor) const {
    std::int64_t step = 1;
    bool empty = false;
    for (std::size_t i = tensor.shape.size(); i-- > 0;) {
      empty = empty || tensor.shape[i] == 0;
      if (tensor.shape[i] > 1 && tensor.stride[i] != step) throw input_error("is not contiguous");
      if (__builtin_mul_overflow(step, tensor.shape[i], &step)) throw input_error("has more elements than can be counted");
    }
    TensorView view{tensor.dtype, tensor.shape, {}};
    const std::uint64_t bytes = tensor_bytes(tensor.dtype, tensor.shape);
    if (empty) return view;
    const auto member = members_.find(cat(root_, "data/", tensor.storage->text));
    if (member == members_.end()) throw input_error("its data is missing");
    std::uint64_t offset = 0;
    if (__builtin_mul_overflow(static_cast<std::uint64_t>(tensor.integer), dtype_size(tensor.dtype), &offset) ||
        offset > member->second.size() || bytes > member->second.size() - offset) {
      throw input_error("does not lie in its storage");
    }
    view.data = member->second.subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(bytes));
    return view;
  }

  const ZipMembers& members_;
  std::string root_;
  TensorMap& out_;
  std::uint64_t visited_ = 0;
};

}  // namespace

TorchFile::TorchFile(const std::string& path) : file_(std::make_shared<MappedFile>(path)) {
  with_context(path, [&] {
    const auto bytes = file_->bytes();
    if (bytes.size() < 2 || bytes[0] != std::byte{'P'} || bytes[1] != std::byte{'K'}) {
      throw input_error("not a zip archive, so not a file of torch.save (its old form is not read)");
    }
    const ZipMembers members = read_zip(bytes);
    // All members lie in one folder, whose name does not matter.
    constexpr std::string_view pickle_name = "/data.pkl";
    const ZipMembers::value_type* pickle_member = nullptr;
    for (const auto& member : members) {
      const std::string_view name = member.first;
      if (!name.ends_with(pickle_name) || name.find('/') != name.size() - pickle_name.size()) continue;
      if (pickle_member) throw input_error("holds more than one data.pkl");
      pickle_member = &member;
    }
    if (!pickle_member) throw input_error("holds no data.pkl");
    const std::string root = pickle_member->first.substr(0, pickle_member->first.find('/') + 1);
    if (const auto order = members.find(root + "byteorder"); order != members.end()) {
      const std::string_view text(reinterpret_cast<const char*>(order->second.data()), order->second.size());
      if (text != "little") throw input_error("its numbers are not little-endian");
    }
    const Pickle pickle(pickle_member->second);
    if (pickle.root().kind != Kind::dict) throw input_error("holds no dict of tensors");
    Collector(members, root, tensors_).collect(pickle.root(), "", 0);
  });
}

}  // namespace blt::io
