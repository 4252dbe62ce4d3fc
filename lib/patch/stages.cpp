// SPDX-License-Identifier: MIT
#include "stages.h"

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_pipeline.h>

#include <algorithm>
#include <deque>
#include <exception>
#include <future>
#include <mutex>

#include "blt/base/signals.h"
#include "blt/patch/segmenter.h"

namespace blt::patch {
namespace {

constexpr std::size_t max_finishing = 8;  // parts that wait for the disk

struct OpenPart {
  std::size_t number;
  std::unique_ptr<Corpus> corpus;  // until it is read
  shard::Writer writer;
  PartRecord record;
};

// What goes from stage to stage; each stage fills in its part.
struct Batch {
  std::shared_ptr<OpenPart> part;
  bool last = false;  // of its part
  std::vector<shard::Record> records;
  std::vector<shard::PendingBlock> full;  // blocks that its records completed
  std::vector<shard::CompressedBlock> blocks;
  BatchCounts counts;
};

class Stages {
 public:
  Stages(const StageOptions& options, const std::vector<std::size_t>& parts,
         const StageEvents& events)
      : options_(options), parts_(parts), events_(events) {}

  void run() {
    namespace tbb = oneapi::tbb;
    const auto threads =
        tbb::global_control::active_value(tbb::global_control::max_allowed_parallelism);
    const std::size_t in_flight = options_.source ? 4 : 2 * threads + 2;
    constexpr auto in_order = tbb::filter_mode::serial_in_order;
    constexpr auto at_once = tbb::filter_mode::parallel;
    const auto read =
        tbb::make_filter<void, Batch*>(in_order, [&](tbb::flow_control& flow) -> Batch* {
          auto batch = try_read_batch();
          if (!batch) {
            flow.stop();
            return nullptr;
          }
          const std::lock_guard lock(mutex_);
          return alive_.emplace_back(std::move(batch)).get();
        });
    const auto stage = [&](tbb::filter_mode mode, void (Stages::*work)(Batch&) const) {
      return tbb::make_filter<Batch*, Batch*>(mode, [this, work](Batch* batch) {
        if (!stop_signal()) (this->*work)(*batch);
        return batch;
      });
    };
    const auto cut = stage(at_once, &Stages::cut);
    const auto pack = stage(in_order, &Stages::pack);
    const auto compress = stage(at_once, &Stages::compress);
    const auto write = tbb::make_filter<Batch*, void>(in_order, [&](Batch* batch) {
      if (!stop_signal()) write_batch(*batch);
      const std::lock_guard lock(mutex_);
      alive_.pop_front();
    });
    const auto first =
        options_.source ? read & stage(in_order, &Stages::add_entropies) & cut : read & cut;
    tbb::parallel_pipeline(in_flight, first & pack & compress & write);
    while (!finishing_.empty()) finish_oldest();
    if (read_error_) std::rethrow_exception(read_error_);
  }

 private:
  // What was read before an error still becomes shards.
  std::unique_ptr<Batch> try_read_batch() {
    try {
      return read_batch();
    } catch (...) {
      read_error_ = std::current_exception();
      return nullptr;
    }
  }

  // Stage 1, one thread: whole documents of one part until the batch is full.
  std::unique_ptr<Batch> read_batch() {
    if (!reading_ && next_part_ < parts_.size()) {
      const std::size_t number = parts_[next_part_++];
      reading_.reset(new OpenPart{
          number, events_.open(number), {options_.folder, options_.writer, number}, {}});
    }
    if (!reading_ || stop_signal()) return nullptr;
    auto batch = std::make_unique<Batch>();
    batch->part = reading_;
    Corpus& corpus = *reading_->corpus;
    std::uint64_t bytes = 0;
    while (bytes < options_.batch_bytes && !stop_signal()) {
      io::Document document;
      if (!corpus.next(document)) {
        batch->last = true;
        break;
      }
      bytes += document.text.size() + 2;
      shard::Record& record = batch->records.emplace_back();
      record.id = std::move(document.id);
      record.group = std::move(document.group);
      record.text = std::move(document.text);
    }
    batch->counts.corpus_bytes = corpus_bytes_ + corpus.reader().bytes_read();
    if (batch->last) close_corpus();
    return batch;
  }

  void close_corpus() {
    const Corpus& corpus = *reading_->corpus;
    reading_->record.skipped = corpus.reader().counts().skipped;
    reading_->record.skipped_records = corpus.reader().skipped();
    reading_->record.left_out = corpus.left_out();
    corpus_bytes_ += corpus.reader().bytes_read();
    reading_->corpus.reset();
    reading_.reset();
  }

  // Stage 2, one thread: a source is asked by one thread at a time, and uses the threads itself.
  void add_entropies(Batch& batch) const {
    std::vector<std::string_view> texts;
    for (const auto& record : batch.records) texts.push_back(record.text);
    auto entropies = document_entropies(*options_.source, texts, options_.rules.newline_reset);
    for (std::size_t i = 0; i < texts.size(); ++i)
      batch.records[i].entropies = std::move(entropies[i]);
  }

  // Stage 3, all threads.
  void cut(Batch& batch) const {
    for (auto& record : batch.records)
      record.patch_lengths = cut_document(record.text, record.entropies, options_.rules);
  }

  // Stage 4, in order: blocks depend on the part's sequence of records alone.
  void pack(Batch& batch) const {
    batch.counts.documents = batch.records.size();
    for (auto& record : batch.records) {
      batch.counts.bytes += record.text.size();
      batch.counts.patches += record.patch_lengths.size();
      batch.part->writer.pack(std::move(record), batch.full);
    }
    batch.records.clear();
    if (batch.last) batch.part->writer.flush(batch.full);
  }

  // Stage 5, all threads.
  void compress(Batch& batch) const {
    for (auto& block : batch.full) {
      batch.blocks.push_back(batch.part->writer.compress(block));
      block = {};
    }
  }

  // Stage 6, in order.
  void write_batch(const Batch& batch) {
    for (const auto& block : batch.blocks) batch.part->writer.append(block);
    events_.written(batch.counts);
    if (!batch.last) return;
    // Beside the stages, which need not wait for the disk.
    if (finishing_.size() == max_finishing) finish_oldest();
    finishing_.push_back(std::async(std::launch::async, [this, part = batch.part] {
      part->record.shards = part->writer.finish();
      events_.done(part->number, part->record);
    }));
  }

  void finish_oldest() {
    auto oldest = std::move(finishing_.front());
    finishing_.pop_front();
    oldest.get();
  }

  const StageOptions& options_;
  const std::vector<std::size_t>& parts_;
  const StageEvents& events_;
  std::shared_ptr<OpenPart> reading_;
  std::size_t next_part_ = 0;
  std::uint64_t corpus_bytes_ = 0;  // of the parts that are read
  std::exception_ptr read_error_;
  // oneTBB drops its tokens when a stage throws, so the batches are owned here: first in, first
  // out.
  std::mutex mutex_;
  std::deque<std::unique_ptr<Batch>> alive_;
  std::deque<std::future<void>> finishing_;  // their destructors wait
};

}  // namespace

void run_stages(const StageOptions& options, const std::vector<std::size_t>& parts,
                const StageEvents& events) {
  Stages(options, parts, events).run();
}

}  // namespace blt::patch
