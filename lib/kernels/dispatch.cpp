// SPDX-License-Identifier: MIT
#ifdef __x86_64__
#include <cpuid.h>
#endif

#include <string_view>

#include "blt/kernels/kernels.h"

namespace blt::kernels {

namespace portable {
const Table& table();
}
#ifdef __x86_64__
namespace avx2 {
const Table& table();
}
namespace avx512 {
const Table& table();
}
namespace avx512vnni {
void matvec(const MatVec&);
}
#endif

namespace {

void run_in_turn(std::int64_t tasks, ParallelBody body, void* context) {
  for (std::int64_t task = 0; task < tasks; ++task) body(context, task);
}

Parallel current_parallel = run_in_turn;

#ifdef __x86_64__
// Only int8 products gain by it.
const Table& vnni_table() {
  static const Table table = [] {
    Table t = avx512::table();
    t.name = "avx512vnni";
    t.matvec = avx512vnni::matvec;
    t.i8_columns = 4;
    return t;
  }();
  return table;
}
#endif

}  // namespace

void set_parallel(Parallel p) { current_parallel = p; }
Parallel parallel() { return current_parallel; }

const Table* cpu_table(const char* raw_name) {
  const std::string_view name = raw_name;
  if (name == "portable") return &portable::table();
#ifdef __x86_64__
  __builtin_cpu_init();
  const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (name == "avx2" && has_avx2) return &avx2::table();
  const bool has_avx512 = has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  if (name == "avx512" && has_avx512) return &avx512::table();
  if (name == "avx512vnni" && has_avx512 && __builtin_cpu_supports("avx512vnni")) return &vnni_table();
#endif
  return nullptr;
}

const Table& cpu_table() {
  static const Table& best = [&]() -> const Table& {
    const Table* found = nullptr;
    for (const char* name : cpu_table_names) {
      if (const Table* table = cpu_table(name)) found = table;
    }
    return *found;
  }();
  return best;
}

bool cpu_has_bf16() {
#ifdef __x86_64__
  __builtin_cpu_init();
  return cpu_table("avx512") && __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

bool cpu_has_amx_bf16() {
#ifdef __x86_64__
  unsigned a = 0, b = 0, c = 0, d = 0;
  return cpu_has_bf16() && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 22 & 1);
#else
  return false;
#endif
}

}  // namespace blt::kernels
