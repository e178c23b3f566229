// What a workload does, made before it is timed: segment by segment, each with its keys and values, so that rows of many GB need
// neither as much memory nor a generator inside the timed part. The clock stands still between segments.
#pragma once

#include <rocksdb/slice.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "rows.h"

enum class Kind : uint8_t { kGet, kPut, kScan, kReadModifyWrite };

struct Operation {
  Kind kind;
  uint32_t row;
  /** Of a scan: how many entries. */
  uint32_t length = 0;
};

class Operations {
 public:
  using Nth = std::function<Operation(uint64_t)>;

  /** `nth` is called once for every number below `total`, in order. Without values only keys are made. */
  Operations(uint64_t total, uint32_t valueBytes, bool values, Nth nth)
      : total_(total), valueBytes_(valueBytes), values_(values), nth_(std::move(nth)) {
    const uint64_t most = values ? kSegmentValueBytes / valueBytes : kSegmentKeys;
    // A whole number of batches.
    most_ = std::max<uint64_t>(most / 1000, 1) * 1000;
  }

  /** Makes the next segment; false at the end. */
  bool refill() {
    const auto count = std::min(most_, total_ - made_);
    segment_.clear();
    segment_.reserve(count);
    keys_.resize(count * kKeyBytes);
    if (values_) bytes_.resize(count * valueBytes_);
    for (uint64_t n = 0; n < count; n++) {
      const auto operation = nth_(made_ + n);
      segment_.push_back(operation);
      writeKey(operation.row, &keys_[n * kKeyBytes]);
      if (values_) writeValue(operation.row, valueBytes_, &bytes_[n * valueBytes_]);
    }
    made_ += count;
    return count > 0;
  }

  size_t size() const { return segment_.size(); }
  const Operation& operator[](size_t n) const { return segment_[n]; }
  rocksdb::Slice key(size_t n) const { return {&keys_[n * kKeyBytes], kKeyBytes}; }
  rocksdb::Slice value(size_t n) const { return {&bytes_[n * valueBytes_], valueBytes_}; }

 private:
  static constexpr uint64_t kSegmentValueBytes = 128 << 20;
  static constexpr uint64_t kSegmentKeys = 4'000'000;

  uint64_t total_;
  uint32_t valueBytes_;
  bool values_;
  Nth nth_;
  uint64_t most_;
  uint64_t made_ = 0;
  std::vector<Operation> segment_;
  std::string keys_;
  std::string bytes_;
};
