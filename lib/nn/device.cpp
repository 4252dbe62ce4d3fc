// SPDX-License-Identifier: MIT
// Devices by name. CUDA is found at run time: ATen's own backend (libtorch_cuda) and our kernels
// (libblt_cuda) are opened when a program asks for them, so that one build serves machines with and
// without a GPU.
#include <ATen/Context.h>
#include <c10/core/Stream.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <dlfcn.h>

#include <charconv>
#include <map>
#include <mutex>
#include <string_view>

#include "blt/nn/functional.h"
#include "kernel_table.h"

namespace blt::nn {
namespace {

constexpr const char* cuda_hint = "use --device cpu, or see README.md on building with CUDA";

// The guard that libtorch_cuda registers with c10: devices and streams without linking to it.
const c10::impl::DeviceGuardImplInterface* cuda_guard() {
  return c10::impl::hasDeviceGuardImpl(at::kCUDA) ? c10::impl::getDeviceGuardImpl(at::kCUDA)
                                                  : nullptr;
}

// The current thread's cudaStream_t, asked by the plugin at every launch: autograd's threads have
// their own.
void* current_cuda_stream() {
  const auto* guard = cuda_guard();
  return guard->getStream(guard->getDevice()).native_handle();
}

void* open_library(const std::string& path, int flags) {
  if (void* library = dlopen(path.c_str(), flags)) return library;
  throw resource_error(cat("cannot load the CUDA backend: ", dlerror()), cuda_hint);
}

template <class Function>
Function* symbol(void* library, const char* name) {
  if (void* found = dlsym(library, name)) return reinterpret_cast<Function*>(found);
  throw resource_error(cat("libblt_cuda.so has no ", name),
                       "it is of another version than libblt_nn.so");
}

// The folder of this library.
std::string own_folder() {
  Dl_info info{};
  if (!dladdr(reinterpret_cast<const void*>(&current_cuda_stream), &info) || !info.dli_fname)
    return {};
  const std::string_view path = info.dli_fname;
  const auto slash = path.rfind('/');
  return slash == path.npos ? std::string() : std::string(path.substr(0, slash + 1));
}

void (*plugin_device_size)(int device, int* multiprocessors, std::uint64_t* memory) = nullptr;

// Both libraries stay loaded.
void load_cuda() {
  static bool loaded = false;
  if (loaded) return;
  void* plugin = open_library(own_folder() + "libblt_cuda.so", RTLD_NOW | RTLD_LOCAL);
  if (!cuda_guard()) open_library("libtorch_cuda.so", RTLD_LAZY | RTLD_GLOBAL);
  if (!cuda_guard()) throw resource_error("libtorch_cuda.so has no CUDA backend", cuda_hint);
  const auto* table = symbol<const kernels::Table*()>(plugin, "blt_cuda_table")();
  symbol<void(void* (*)())>(plugin, "blt_cuda_set_stream_source")(current_cuda_stream);
  set_cuda_table(table);
  plugin_device_size = symbol<void(int, int*, std::uint64_t*)>(plugin, "blt_cuda_device_size");
  static const Recorder recorder{symbol<void*(void (*)(const void*), const void*)>(plugin, "blt_cuda_record"),
                                 symbol<void(void*)>(plugin, "blt_cuda_replay"),
                                 symbol<void(void*)>(plugin, "blt_cuda_forget")};
  set_recorder(at::kCUDA, &recorder);
  loaded = true;
}

at::Device cuda_device(int index, const std::string& name) {
  load_cuda();
  const int count = cuda_guard()->deviceCount();
  if (count == 0)
    throw resource_error("this machine has no usable CUDA device",
                         "use --device cpu, or see nvidia-smi");
  if (index >= count) {
    throw resource_error(cat("no device ", name, ": this machine has ", count, " CUDA device",
                             count == 1 ? "" : "s"));
  }
  const at::Device device(at::kCUDA, static_cast<at::DeviceIndex>(index));
  try {
    if (!at::hasCUDA())
      throw internal_error("ATen was asked for CUDA before open_device loaded it");
    cuda_guard()->setDevice(device);
  } catch (const c10::Error& error) {
    throw resource_error(cat("device ", name, ": ", error.what_without_backtrace()));
  }
  return device;
}

}  // namespace

DeviceSize device_size(at::Device gpu) {
  if (!plugin_device_size || !gpu.is_cuda()) throw internal_error("the size of a device that was not opened");
  static std::mutex mutex;
  static std::map<int, DeviceSize> known;  // asking takes a while
  const std::lock_guard lock(mutex);
  const auto [at, fresh] = known.try_emplace(gpu.index());
  if (fresh) plugin_device_size(gpu.index(), &at->second.multiprocessors, &at->second.memory);
  return at->second;
}

at::Device open_device(const std::string& name) {
  if (name == "cpu") return at::kCPU;
  if (name == "cuda") return cuda_device(0, name);
  constexpr std::string_view prefix = "cuda:";
  if (name.rfind(prefix, 0) == 0) {
    int index = -1;
    const char *begin = name.data() + prefix.size(), *end = name.data() + name.size();
    const auto [stop, status] = std::from_chars(begin, end, index);
    if (status == std::errc() && stop == end && index >= 0 && index < 128)
      return cuda_device(index, name);
  }
  throw usage_error(cat("no device is called '", name, "'"), "devices are cpu, cuda and cuda:N");
}

}  // namespace blt::nn
