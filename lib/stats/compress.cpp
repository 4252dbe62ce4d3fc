// SPDX-License-Identifier: MIT
#include "blt/stats/compress.h"

#include <zlib.h>
#ifdef BLT_HAVE_LZMA
#include <lzma.h>
#endif

#include <algorithm>
#include <array>
#include <limits>

#include "blt/base/error.h"

namespace blt::stats {
namespace {

constexpr std::size_t chunk = 1 << 16;

class GzipSize final : public CompressedSize {
 public:
  GzipSize() {
    // 15 + 16: a window of 32 KiB in gzip's own frame, as gzip -9 writes without a file name.
    if (deflateInit2(&stream_, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
      throw resource_error("zlib: out of memory");
  }
  ~GzipSize() override { deflateEnd(&stream_); }
  std::string name() const override { return "gzip -9"; }

  void add(std::string_view bytes) override {
    while (!bytes.empty()) {
      const std::size_t part =
          std::min<std::size_t>(bytes.size(), std::numeric_limits<uInt>::max());
      // zlib reads through a pointer that it calls writable.
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
      stream_.avail_in = static_cast<uInt>(part);
      while (stream_.avail_in > 0) step(Z_NO_FLUSH);
      bytes.remove_prefix(part);
    }
  }

  std::uint64_t finish() override {
    while (step(Z_FINISH) != Z_STREAM_END) {
    }
    return written_;
  }

 private:
  int step(int flush) {
    stream_.next_out = out_.data();
    stream_.avail_out = static_cast<uInt>(out_.size());
    const int code = deflate(&stream_, flush);
    if (code == Z_STREAM_ERROR) throw internal_error("zlib: stream error");
    written_ += out_.size() - stream_.avail_out;
    return code;
  }

  z_stream stream_{};
  std::array<Bytef, chunk> out_{};
  std::uint64_t written_ = 0;
};

#ifdef BLT_HAVE_LZMA
class XzSize final : public CompressedSize {
 public:
  XzSize() {
    if (lzma_easy_encoder(&stream_, 9, LZMA_CHECK_CRC64) != LZMA_OK)
      throw resource_error("xz -9 needs about 700 MB of memory");
  }
  ~XzSize() override { lzma_end(&stream_); }
  std::string name() const override { return "xz -9"; }

  void add(std::string_view bytes) override {
    stream_.next_in = reinterpret_cast<const std::uint8_t*>(bytes.data());
    stream_.avail_in = bytes.size();
    while (stream_.avail_in > 0) step(LZMA_RUN);
  }

  std::uint64_t finish() override {
    while (step(LZMA_FINISH) != LZMA_STREAM_END) {
    }
    return written_;
  }

 private:
  lzma_ret step(lzma_action action) {
    stream_.next_out = out_.data();
    stream_.avail_out = out_.size();
    const lzma_ret code = lzma_code(&stream_, action);
    if (code != LZMA_OK && code != LZMA_STREAM_END)
      throw internal_error(cat("lzma: error ", static_cast<int>(code)));
    written_ += out_.size() - stream_.avail_out;
    return code;
  }

  lzma_stream stream_ = LZMA_STREAM_INIT;
  std::array<std::uint8_t, chunk> out_{};
  std::uint64_t written_ = 0;
};
#endif

}  // namespace

std::unique_ptr<CompressedSize> gzip_size() {
  return std::make_unique<GzipSize>();
}

std::unique_ptr<CompressedSize> xz_size() {
#ifdef BLT_HAVE_LZMA
  return std::make_unique<XzSize>();
#else
  return nullptr;
#endif
}

}  // namespace blt::stats
