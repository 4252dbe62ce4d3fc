// SPDX-License-Identifier: MIT
#include "blt/train/loader.h"

#include <algorithm>
#include <utility>

#include "blt/base/error.h"
#include "blt/io/documents.h"
#include "blt/shard/shard.h"

namespace blt::train {
namespace {

class CorpusStream final : public DocumentStream {
 public:
  CorpusStream(const TrainConfig& c, bool held_out, Reporter& reporter, std::shared_ptr<bool> told)
      : reporter_(reporter), told_(std::move(told)), reader_(c.data, {c.format, c.split_lines, c.field, "", c.on_error}), share_(c.held_out), held_out_(held_out) {}

  bool next(TokenDocument& out) override {
    while (reader_.next(document_)) {
      if (document_.text.empty() || io::held_out(document_.id, share_) != held_out_) continue;
      out.id = document_.id;
      out.ids = patch::encode(document_.text);
      out.patch_lengths.clear();
      return true;
    }
    const auto skipped = reader_.counts().skipped;
    if (skipped > 0 && !*told_) {
      *told_ = true;
      reporter_.problem(cat("skipped ", skipped, " bad records, the first: ", reader_.skipped().front()));
    }
    return false;
  }

 private:
  Reporter& reporter_;
  std::shared_ptr<bool> told_;  // of all passes
  io::DocumentReader reader_;
  io::Document document_;
  double share_;
  bool held_out_;
};

class ShardStream final : public DocumentStream {
 public:
  ShardStream(const TrainConfig& c, bool held_out) : share_(c.held_out), held_out_(held_out) {
    for (const auto& path : c.data) readers_.push_back(std::make_unique<shard::Reader>(path));
  }

  bool next(TokenDocument& out) override {
    for (; current_ < readers_.size(); ++current_) {
      while (readers_[current_]->next(record_)) {
        if (record_.text.empty() || io::held_out(record_.id, share_) != held_out_) continue;
        out.id = record_.id;
        out.ids = patch::encode(record_.text);
        out.patch_lengths = model::with_first_byte_patch(record_.patch_lengths);
        return true;
      }
    }
    return false;
  }

 private:
  std::vector<std::unique_ptr<shard::Reader>> readers_;
  std::size_t current_ = 0;
  shard::Record record_;
  double share_;
  bool held_out_;
};

}  // namespace

OpenStream corpus_stream(const TrainConfig& config, Reporter& reporter) {
  return [config, &reporter, told = std::make_shared<bool>(false)](bool held_out) {
    return std::make_unique<CorpusStream>(config, held_out, reporter, told);
  };
}

OpenStream shard_stream(const TrainConfig& config) {
  return [config](bool held_out) { return std::make_unique<ShardStream>(config, held_out); };
}

std::vector<Piece> cut_pieces(const TokenDocument& document, std::int64_t raw_length) {
  const auto length = static_cast<std::size_t>(raw_length);
  const auto& ids = document.ids;
  const auto& lengths = document.patch_lengths;
  std::vector<Piece> out;
  std::size_t begin = 0, patch = 0;
  while (begin < ids.size()) {
    Piece piece;
    std::size_t end = std::min(begin + length, ids.size());
    if (!lengths.empty()) {
      const std::size_t first = patch;
      std::size_t at = begin;
      while (patch < lengths.size() && at + lengths[patch] <= end) at += lengths[patch++];
      std::vector<std::uint32_t> own(lengths.begin() + static_cast<std::ptrdiff_t>(first),
                                     lengths.begin() + static_cast<std::ptrdiff_t>(patch));
      if (patch == first) throw input_error(cat("a patch of ", lengths[patch], " bytes is longer than a piece of ", length));
      if (at < ids.size()) own.push_back(1);  // the next byte starts a patch: the piece's last patch is closed
      piece.patch_lengths = model::with_first_byte_patch(own);
      end = at;
    }
    piece.ids.assign(ids.begin() + static_cast<std::ptrdiff_t>(begin), ids.begin() + static_cast<std::ptrdiff_t>(end));
    if (end < ids.size()) piece.next_id = ids[end];
    out.push_back(std::move(piece));
    begin = end;
  }
  return out;
}

Loader::Loader(OpenStream open, const TrainConfig& config, std::int64_t sequence_length)
    : open_(std::move(open)),
      random_(mix_seed(static_cast<std::uint64_t>(config.seed), 2)),
      length_(sequence_length),
      batch_bytes_(std::max(config.batch_bytes, sequence_length)),
      buffer_bytes_(config.shuffle_buffer) {
  fill();
}

Loader::~Loader() = default;

void Loader::fill() {
  TokenDocument document;
  while (buffered_ < buffer_bytes_) {
    if (!stream_) {
      stream_ = open_(false);
      pass_pieces_ = 0;
    }
    if (!stream_->next(document)) {
      if (pass_pieces_ == 0) throw input_error("there are no documents to train on");
      stream_.reset();
      // A whole pass is in the buffer: the next one waits until this one is used up, so that epochs stay apart.
      if (!buffer_.empty()) return;
      continue;
    }
    for (auto& piece : cut_pieces(document, length_)) {
      buffered_ += static_cast<std::int64_t>(piece.ids.size());
      buffer_.push_back(std::move(piece));
      ++pass_pieces_;
    }
  }
}

std::vector<Piece> Loader::next() {
  std::vector<Piece> batch;
  std::int64_t bytes = 0;
  for (;;) {
    if (buffer_.empty() || (stream_ && buffered_ < buffer_bytes_)) fill();
    const std::size_t pick = random_.below(buffer_.size());
    const auto size = static_cast<std::int64_t>(buffer_[pick].ids.size());
    if (!batch.empty() && bytes + size > batch_bytes_) return batch;
    bytes += size;
    buffered_ -= size;
    batch.push_back(std::move(buffer_[pick]));
    std::swap(buffer_[pick], buffer_.back());
    buffer_.pop_back();
  }
}

}  // namespace blt::train
