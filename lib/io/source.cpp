// SPDX-License-Identifier: MIT
#include "blt/io/source.h"

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>

#include "blt/base/error.h"
#include "blt/base/files.h"

namespace blt::io {
namespace {

constexpr std::size_t window_bytes = std::size_t{256} << 10;

// Bytes as they lie in the file, through a window that can be looked at before it is taken.
class RawInput {
 public:
  explicit RawInput(const std::string& path)
      : path_(path == "-" ? "standard input" : path), window_(window_bytes) {
    fd_ = path == "-" ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd_ < 0) throw input_error(errno_message(path_, errno));
  }
  // Bytes [begin, end) of the file.
  RawInput(const std::string& path, std::uint64_t begin, std::uint64_t end) : RawInput(path) {
    if (::lseek(fd_, static_cast<off_t>(begin), SEEK_SET) < 0)
      throw input_error(errno_message(path_, errno));
    left_ = end - begin;
  }
  ~RawInput() {
    if (fd_ != STDIN_FILENO) ::close(fd_);
  }
  RawInput(const RawInput&) = delete;
  RawInput& operator=(const RawInput&) = delete;

  const std::string& path() const { return path_; }
  std::uint64_t position() const { return taken_; }

  // What is not taken yet, at least `count` bytes of it unless the file ends before.
  std::span<const std::byte> peek(std::size_t count) {
    if (end_ - begin_ < count && begin_ > 0) {
      std::memmove(window_.data(), window_.data() + begin_, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
    }
    while (end_ - begin_ < count) {
      const std::size_t got = read_file({window_.data() + end_, window_.size() - end_});
      if (got == 0) break;
      end_ += got;
    }
    return {window_.data() + begin_, end_ - begin_};
  }

  void take(std::size_t count) {
    begin_ += count;
    taken_ += count;
  }

  std::size_t read(std::span<std::byte> buffer) {
    if (begin_ == end_ && buffer.size() >= window_.size()) {
      const std::size_t got = read_file(buffer);
      taken_ += got;
      return got;
    }
    const auto ready = peek(1);
    const std::size_t count = std::min(ready.size(), buffer.size());
    std::copy_n(ready.begin(), count, buffer.begin());
    take(count);
    return count;
  }

 private:
  std::size_t read_file(std::span<std::byte> buffer) {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), left_));
    for (;;) {
      const ssize_t got = ::read(fd_, buffer.data(), wanted);
      if (got >= 0) {
        left_ -= static_cast<std::uint64_t>(got);
        return static_cast<std::size_t>(got);
      }
      if (errno != EINTR) throw input_error(errno_message(path_, errno));
    }
  }

  std::string path_;
  int fd_ = -1;
  std::vector<std::byte> window_;
  std::size_t begin_ = 0, end_ = 0;
  std::uint64_t taken_ = 0;
  std::uint64_t left_ = std::numeric_limits<std::uint64_t>::max();  // may still be read
};

bool starts_with(std::span<const std::byte> bytes, std::initializer_list<unsigned char> magic) {
  return bytes.size() >= magic.size() &&
         std::equal(magic.begin(), magic.end(), bytes.begin(),
                    [](unsigned char a, std::byte b) { return std::byte{a} == b; });
}

// RFC 1952: ID1, ID2 and the only compression method there is.
bool is_gzip(std::span<const std::byte> bytes) {
  return starts_with(bytes, {0x1f, 0x8b, 0x08});
}

// RFC 8878: a frame, or a skippable frame (0x184D2A50 to 0x184D2A5F), little-endian.
bool is_zstd(std::span<const std::byte> bytes) {
  return starts_with(bytes, {0x28, 0xb5, 0x2f, 0xfd}) ||
         (bytes.size() >= 4 && (bytes[0] & std::byte{0xf0}) == std::byte{0x50} &&
          starts_with(bytes.subspan(1), {0x2a, 0x4d, 0x18}));
}

class PlainSource final : public ByteSource {
 public:
  explicit PlainSource(std::unique_ptr<RawInput> raw) : raw_(std::move(raw)) {}
  std::size_t read(std::span<std::byte> buffer) override { return raw_->read(buffer); }
  std::uint64_t position() const override { return raw_->position(); }

 private:
  std::unique_ptr<RawInput> raw_;
};

class GzipSource final : public ByteSource {
 public:
  explicit GzipSource(std::unique_ptr<RawInput> raw) : raw_(std::move(raw)) {
    constexpr int gzip_only = 15 + 16;  // the largest window, gzip headers
    if (inflateInit2(&stream_, gzip_only) != Z_OK) throw resource_error("zlib: out of memory");
  }
  ~GzipSource() override { inflateEnd(&stream_); }
  GzipSource(const GzipSource&) = delete;
  GzipSource& operator=(const GzipSource&) = delete;

  std::size_t read(std::span<std::byte> buffer) override {
    const std::size_t wanted =
        std::min<std::size_t>(buffer.size(), std::numeric_limits<uInt>::max());
    stream_.next_out = reinterpret_cast<Bytef*>(buffer.data());
    stream_.avail_out = static_cast<uInt>(wanted);
    while (!finished_ && stream_.avail_out == wanted && wanted > 0) step();
    return wanted - stream_.avail_out;
  }
  std::uint64_t position() const override { return raw_->position(); }

 private:
  void step() {
    const auto input = raw_->peek(1);
    if (input.empty()) throw input_error(cat(raw_->path(), ": the gzip stream is cut off"));
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(input.data()));
    stream_.avail_in = static_cast<uInt>(input.size());
    const int code = inflate(&stream_, Z_NO_FLUSH);
    raw_->take(input.size() - stream_.avail_in);
    if (code == Z_STREAM_END) {
      next_member();
    } else if (code == Z_MEM_ERROR) {
      throw resource_error("zlib: out of memory");
    } else if (code != Z_OK && code != Z_BUF_ERROR) {
      throw input_error(cat(raw_->path(), ": the gzip stream is damaged (",
                            stream_.msg ? stream_.msg : "dictionary needed", ")"));
    }
  }

  // Members follow each other (RFC 1952, 2.2); zeros after the last are padding, as gzip(1) reads
  // them.
  void next_member() {
    if (is_gzip(raw_->peek(3))) {
      inflateReset(&stream_);
      return;
    }
    for (auto rest = raw_->peek(1); !rest.empty(); rest = raw_->peek(1)) {
      if (std::any_of(rest.begin(), rest.end(), [](std::byte b) { return b != std::byte{0}; })) {
        throw input_error(cat(raw_->path(), ": other bytes follow the gzip stream"));
      }
      raw_->take(rest.size());
    }
    finished_ = true;
  }

  std::unique_ptr<RawInput> raw_;
  z_stream stream_{};
  bool finished_ = false;
};

class ZstdSource final : public ByteSource {
 public:
  explicit ZstdSource(std::unique_ptr<RawInput> raw)
      : raw_(std::move(raw)), context_(ZSTD_createDCtx(), ZSTD_freeDCtx) {
    if (!context_) throw resource_error("zstd: out of memory");
    // Corpora are often packed with `zstd --long=31`; the window is allocated, but touched only as
    // far as it is used.
    const auto bounds = ZSTD_dParam_getBounds(ZSTD_d_windowLogMax);
    ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, bounds.upperBound);
  }

  std::size_t read(std::span<std::byte> buffer) override {
    ZSTD_outBuffer out{buffer.data(), buffer.size(), 0};
    while (out.pos == 0 && out.size > 0) {
      const auto ready = raw_->peek(1);
      // Nothing left to read: the last call may still have output to flush.
      ZSTD_inBuffer in{ready.data(), ready.size(), 0};
      if (ready.empty() && frame_complete_) return 0;
      const std::size_t code = ZSTD_decompressStream(context_.get(), &out, &in);
      raw_->take(in.pos);
      if (ZSTD_isError(code)) fail(code);
      frame_complete_ = code == 0;
      if (ready.empty() && out.pos == 0 && !frame_complete_) {
        throw input_error(cat(raw_->path(), ": the zstd stream is cut off"));
      }
    }
    return out.pos;
  }
  std::uint64_t position() const override { return raw_->position(); }

 private:
  [[noreturn]] void fail(std::size_t code) const {
    if (ZSTD_getErrorCode(code) == ZSTD_error_prefix_unknown) {
      throw input_error(cat(raw_->path(), ": other bytes follow the zstd stream"));
    }
    throw input_error(
        cat(raw_->path(), ": the zstd stream is damaged (", ZSTD_getErrorName(code), ")"));
  }

  std::unique_ptr<RawInput> raw_;
  std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context_;
  bool frame_complete_ = true;
};

}  // namespace

std::unique_ptr<ByteSource> open_source(const std::string& path) {
  auto raw = std::make_unique<RawInput>(path);
  const auto start = raw->peek(4);
  if (is_gzip(start)) return std::make_unique<GzipSource>(std::move(raw));
  if (is_zstd(start)) return std::make_unique<ZstdSource>(std::move(raw));
  return std::make_unique<PlainSource>(std::move(raw));
}

std::unique_ptr<ByteSource> open_range(const std::string& path, std::uint64_t begin,
                                       std::uint64_t end) {
  return std::make_unique<PlainSource>(std::make_unique<RawInput>(path, begin, end));
}

bool is_compressed(const std::string& path) {
  RawInput raw(path);
  const auto start = raw.peek(4);
  return is_gzip(start) || is_zstd(start);
}

}  // namespace blt::io
