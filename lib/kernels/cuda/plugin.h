// SPDX-License-Identifier: MIT
// The C interface of libblt_cuda.so, found by dlsym. Its functions throw blt::Error (resource) when
// a launch fails.
#pragma once

#include "blt/kernels/kernels.h"

// The current thread's cudaStream_t.
using blt_cuda_stream_source = void* (*)();

extern "C" {
const blt::kernels::Table* blt_cuda_table();
// The cudaStream_t of all later launches; at first the default stream.
void blt_cuda_set_stream(void* stream);
// Asked at every launch instead, unless null.
void blt_cuda_set_stream_source(blt_cuda_stream_source source);
void blt_cuda_device_size(int device, int* multiprocessors, std::uint64_t* memory_bytes);
// What `run` launches in the calling thread, as a graph for the current device; nothing runs yet.
void* blt_cuda_record(void (*run)(const void* context), const void* context);
// Launches it on the current stream.
void blt_cuda_replay(void* graph);
void blt_cuda_forget(void* graph);
}
