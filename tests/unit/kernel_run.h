// SPDX-License-Identifier: MIT
// One run of kernels on random inputs, on the host or a GPU. Output buffers start with a marker and
// have a margin, so that numbers left out or written past the end differ too.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "blt/kernels/kernels.h"

namespace kernel_cases {

using namespace blt::kernels;
using Floats = std::vector<float>;
using Ints = std::vector<std::int32_t>;

// Where a table's pointers point.
class Memory {
 public:
  virtual ~Memory() = default;
  virtual void* upload(const void* data, std::size_t bytes) = 0;
  virtual void download(const void* from, void* to, std::size_t bytes) = 0;
};

class HostMemory : public Memory {
 public:
  void* upload(const void* data, std::size_t bytes) override {
    blocks_.push_back(std::make_unique<unsigned char[]>(bytes ? bytes : 1));
    if (bytes) std::memcpy(blocks_.back().get(), data, bytes);
    return blocks_.back().get();
  }
  void download(const void* from, void* to, std::size_t bytes) override {
    if (bytes) std::memcpy(to, from, bytes);
  }

 private:
  std::vector<std::unique_ptr<unsigned char[]>> blocks_;
};

inline std::uint16_t to_bf16(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, 4);
  return static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}
inline float from_bf16(std::uint16_t half) {
  const std::uint32_t bits = static_cast<std::uint32_t>(half) << 16;
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}

inline constexpr float marker = 7.5f;
inline constexpr std::size_t margin = 16;

struct Result {
  std::string name;
  Floats values;
};

// One run of a case on one table.
class Run {
 public:
  Run(const Table& table, Memory& memory, std::uint32_t seed)
      : table_(table), memory_(memory), random_(seed) {}

  const Table& table() const { return table_; }
  std::vector<Result> results() const {
    std::vector<Result> all;
    for (const auto& output : outputs_) all.push_back({output.name, read(output)});
    return all;
  }

  Floats normal(std::int64_t count, float deviation = 1) {
    std::normal_distribution<float> draw(0, deviation);
    Floats out(static_cast<std::size_t>(count));
    for (float& x : out) x = draw(random_);
    return out;
  }
  Ints whole(std::int64_t count, std::int32_t low, std::int32_t high) {  // low <= x < high
    std::uniform_int_distribution<std::int32_t> draw(low, high - 1);
    Ints out(static_cast<std::size_t>(count));
    for (auto& x : out) x = draw(random_);
    return out;
  }

  template <class T>
  const T* input(const std::vector<T>& values) {
    return static_cast<const T*>(memory_.upload(values.data(), values.size() * sizeof(T)));
  }
  const void* input(const Floats& values, Element type) { return upload(values, type); }
  const float* random(std::int64_t count) { return input(normal(count)); }
  const void* random(std::int64_t count, Element type, float deviation = 1) {
    return input(normal(count, deviation), type);
  }

  // Results, in the order of these calls; with values: changed in place.
  void* output(const std::string& name, std::int64_t count, Element type) {
    return output(name, Floats(static_cast<std::size_t>(count), marker), type);
  }
  float* output(const std::string& name, std::int64_t count) {
    return static_cast<float*>(output(name, count, Element::f32));
  }
  void* output(const std::string& name, Floats values, Element type) {
    values.resize(values.size() + margin, marker);
    outputs_.push_back({name, upload(values, type), values.size(), type, false});
    return outputs_.back().data;
  }
  std::int32_t* whole_output(const std::string& name, std::int64_t count) {
    const Ints values(static_cast<std::size_t>(count) + margin, 75);
    outputs_.push_back({name, memory_.upload(values.data(), values.size() * 4), values.size(),
                        Element::f32, true});
    return static_cast<std::int32_t*>(outputs_.back().data);
  }

 private:
  struct Output {
    std::string name;
    void* data;
    std::size_t count;
    Element type;
    bool whole;
  };

  void* upload(const Floats& values, Element type) {
    if (type == Element::f32) return memory_.upload(values.data(), values.size() * 4);
    std::vector<std::uint16_t> half(values.size());
    std::transform(values.begin(), values.end(), half.begin(), to_bf16);
    return memory_.upload(half.data(), half.size() * 2);
  }
  Floats read(const Output& output) const {
    Floats out(output.count);
    if (output.whole) {
      Ints values(output.count);
      memory_.download(output.data, values.data(), values.size() * 4);
      std::copy(values.begin(), values.end(), out.begin());
    } else if (output.type == Element::f32) {
      memory_.download(output.data, out.data(), out.size() * 4);
    } else {
      std::vector<std::uint16_t> half(output.count);
      memory_.download(output.data, half.data(), half.size() * 2);
      std::transform(half.begin(), half.end(), out.begin(), from_bf16);
    }
    return out;
  }

  const Table& table_;
  Memory& memory_;
  std::mt19937 random_;
  std::vector<Output> outputs_;
};

}  // namespace kernel_cases
