// What one workload took: wall time, CPU time of all threads, latencies, bytes written. Nothing is allocated while the clock runs.
#pragma once

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

using Clock = std::chrono::steady_clock;

inline uint64_t nanosBetween(Clock::time_point from, Clock::time_point to) {
  return uint64_t(std::chrono::duration_cast<std::chrono::nanoseconds>(to - from).count());
}

/** Counts of nanoseconds, 64 buckets an octave: a percentile is right within 1.6 %. */
class Histogram {
 public:
  Histogram() : counts_(64 * 59, 0) {}

  void add(uint64_t nanos) {
    counts_[bucketOf(nanos)]++;
    count_++;
    max_ = std::max(max_, nanos);
  }

  uint64_t count() const { return count_; }
  uint64_t maxNanos() const { return max_; }

  double percentileMicros(double percent) const {
    const auto wanted = uint64_t(percent / 100 * double(count_ - 1)) + 1;
    uint64_t seen = 0;
    for (size_t bucket = 0; bucket < counts_.size(); bucket++) {
      seen += counts_[bucket];
      if (seen >= wanted) return double(std::min(upperOf(bucket), max_)) / 1000;
    }
    return double(max_) / 1000;
  }

 private:
  static size_t bucketOf(uint64_t nanos) {
    if (nanos < 128) return nanos;
    const int shift = 57 - __builtin_clzll(nanos);
    return size_t(shift) * 64 + (nanos >> shift);
  }

  static uint64_t upperOf(size_t bucket) {
    if (bucket < 128) return bucket;
    const auto shift = bucket / 64 - 1;
    return ((uint64_t(bucket) - shift * 64 + 1) << shift) - 1;
  }

  std::vector<uint32_t> counts_;
  uint64_t count_ = 0;
  uint64_t max_ = 0;
};

/** A clock that can be stopped, and what was counted while it ran. */
class Meter {
 public:
  Histogram latencies;
  uint64_t count = 0;
  bool stoppedEarly = false;

  void start() {
    cpuStart_ = cpuSecondsNow();
    start_ = Clock::now();
  }

  void stop() {
    nanos_ += nanosBetween(start_, Clock::now());
    cpuSeconds_ += cpuSecondsNow() - cpuStart_;
  }

  /** While the clock runs. */
  double secondsAt(Clock::time_point now) const { return double(nanos_ + nanosBetween(start_, now)) / 1e9; }

  double seconds() const { return double(nanos_) / 1e9; }
  double cpuSeconds() const { return cpuSeconds_; }

 private:
  static double cpuSecondsNow() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
  }

  Clock::time_point start_;
  uint64_t nanos_ = 0;
  double cpuStart_ = 0;
  double cpuSeconds_ = 0;
};

/** The number that follows `name` in a file of /proc; 0 when there is none. */
inline uint64_t procNumber(const char* path, const std::string& name) {
  std::ifstream file(path);
  std::string word;
  uint64_t number = 0;
  while (file >> word) {
    if (word == name && file >> number) return number;
  }
  return 0;
}

inline uint64_t writtenBytesNow() { return procNumber("/proc/self/io", "write_bytes:"); }
inline uint64_t peakRssBytes() { return procNumber("/proc/self/status", "VmHWM:") * 1024; }

/** Of the files directly in it; one that is deleted meanwhile counts nothing. */
inline uint64_t diskBytes(const std::string& directory) {
  uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    std::error_code error;
    const auto size = entry.file_size(error);
    if (!error) bytes += size;
  }
  return bytes;
}
