// One workload against RocksDB, from one thread, without Node.js between: the rate a native program gets out of the machine.
//
//   rocksdb-bench <workload> <directory> <rows> <valueBytes> <timeLimitSeconds>
//   rocksdb-bench --version
//
// The directory has to be empty. Prints one line of JSON. Exit codes: 0, 1 an error, 2 wrong arguments, 3 no such workload.
//
// 1. Keys and values are made while the clock stands; rows that are there at the beginning are loaded and settled before it runs.
// 2. `count` and `perSecond` are rows, in scan-100 and ycsb-e scans. Latencies are those of one call: a put, a batch, a scan; every
//    call is timed, except gets: every 16th of those.
// 3. `cpuSeconds` is of all threads while the clock ran. `writtenBytes` is all that was written for the workload, and `diskBytes`
//    what it left, when everything had been flushed and compacted; only batch-1000-2gb has the clock run until then.
//    `peakRssBytes` counts the rows made beforehand too, which are up to 180 MiB.
// 4. Settings: LZ4, bloom filters of 10 bits a key, a block cache of 256 MiB, a write buffer of 16 MiB; the rest are defaults.
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/version.h>
#include <rocksdb/write_batch.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>

#include "meter.h"
#include "operations.h"

namespace {

constexpr uint64_t kScans = 20'000;
constexpr double kDurableSeconds = 5;

[[noreturn]] void fail(int code, const std::string& message) {
  std::fprintf(stderr, "rocksdb-bench: %s\n", message.c_str());
  // Not exit(): threads of the store are still at work.
  std::_Exit(code);
}

void check(const rocksdb::Status& status) {
  if (!status.ok()) fail(1, status.ToString());
}

struct Bench {
  std::string workload;
  std::string directory;
  uint32_t rows;
  uint32_t valueBytes;
  double limitSeconds;
  std::unique_ptr<rocksdb::DB> db{};
  rocksdb::WriteOptions writing{};
  rocksdb::ReadOptions reading{};
  uint64_t writtenBefore = 0;

  void open() {
    rocksdb::BlockBasedTableOptions table;
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    table.block_cache = rocksdb::NewLRUCache(256 << 20);
    rocksdb::Options options;
    options.create_if_missing = true;
    options.error_if_exists = true;
    options.compression = rocksdb::kLZ4Compression;
    options.write_buffer_size = 16 << 20;
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    rocksdb::DB* opened = nullptr;
    check(rocksdb::DB::Open(options, directory, &opened));
    db.reset(opened);
    writtenBefore = writtenBytesNow();
  }

  /** Flushes and waits until no compaction runs or is due. */
  void settle() {
    check(db->Flush(rocksdb::FlushOptions()));
    // A compaction is scheduled a moment after the one before it ended: seen idle twice is idle.
    for (int idle = 0; idle < 2; idle++) {
      while (busy()) {
        idle = 0;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  bool busy() {
    for (const char* name : {"rocksdb.mem-table-flush-pending", "rocksdb.num-running-flushes", "rocksdb.compaction-pending",
                             "rocksdb.num-running-compactions"}) {
      uint64_t count = 0;
      if (!db->GetIntProperty(name, &count)) fail(1, std::string("no property ") + name);
      if (count > 0) return true;
    }
    return false;
  }

  Operations puts(uint64_t count, uint32_t first = 0) {
    return {count, valueBytes, true, [first](uint64_t n) { return Operation{Kind::kPut, uint32_t(first + n)}; }};
  }

  void putBatch(rocksdb::WriteBatch& batch, const Operations& operations, size_t at, size_t count) {
    batch.Clear();
    for (size_t n = at; n < at + count; n++) check(batch.Put(operations.key(n), operations.value(n)));
    check(db->Write(writing, &batch));
  }

  /** All rows, not timed. */
  void load() {
    auto operations = puts(rows);
    rocksdb::WriteBatch batch;
    while (operations.refill()) {
      for (size_t at = 0; at < operations.size(); at += 1000) {
        putBatch(batch, operations, at, std::min<size_t>(1000, operations.size() - at));
      }
    }
    settle();
    writtenBefore = writtenBytesNow();
  }

  /** Calls `run(at, count)` for `perCall` operations at a time, with the clock running, until the time is up. */
  template <typename Run>
  void timed(Meter& meter, Operations& operations, size_t perCall, uint32_t sampleEvery, double limit, Run run) {
    uint32_t untilSample = 1;
    while (!meter.stoppedEarly && operations.refill()) {
      meter.start();
      for (size_t at = 0; at < operations.size(); at += perCall) {
        const auto count = std::min(perCall, operations.size() - at);
        meter.count += count;
        if (--untilSample > 0) {
          run(at, count);
          continue;
        }
        untilSample = sampleEvery;
        const auto before = Clock::now();
        run(at, count);
        const auto after = Clock::now();
        meter.latencies.add(nanosBetween(before, after));
        if (meter.secondsAt(after) >= limit) {
          meter.stoppedEarly = true;
          break;
        }
      }
      meter.stop();
    }
  }

  void timedPuts(Meter& meter, Operations operations, double limit) {
    timed(meter, operations, 1, 1, limit, [&](size_t at, size_t) { check(db->Put(writing, operations.key(at), operations.value(at))); });
  }

  void timedBatches(Meter& meter, size_t perBatch) {
    auto operations = puts(rows);
    rocksdb::WriteBatch batch;
    timed(meter, operations, perBatch, 1, limitSeconds, [&](size_t at, size_t count) { putBatch(batch, operations, at, count); });
  }

  void get(const rocksdb::Slice& key, uint32_t row, std::string* value) {
    check(db->Get(reading, key, value));
    if (value->size() != valueBytes || readLittleEndian(value->data()) != row) fail(1, "row " + std::to_string(row) + " has a wrong value");
  }

  /** Copies up to `most` entries out of the iterator and checks them. */
  uint64_t walk(rocksdb::Iterator& iterator, uint64_t most, std::string* key, std::string* value) {
    uint64_t count = 0;
    for (; count < most && iterator.Valid(); iterator.Next(), count++) {
      key->assign(iterator.key().data(), iterator.key().size());
      value->assign(iterator.value().data(), iterator.value().size());
      if (value->size() != valueBytes || readLittleEndian(value->data()) != readBigEndian(key->data() + 8)) fail(1, "a key has a wrong value");
    }
    check(iterator.status());
    return count;
  }

  void getHot(Meter& meter) {
    load();
    Random random(1);
    // 100 000 of a million.
    std::vector<uint32_t> hot((uint64_t(rows) + 9) / 10);
    for (auto& row : hot) row = random.below(rows);
    std::string value;
    const auto nth = [&](uint64_t) { return Operation{Kind::kGet, hot[random.below(uint32_t(hot.size()))]}; };
    Operations warming(hot.size(), valueBytes, false, [&](uint64_t n) { return Operation{Kind::kGet, hot[n]}; });
    warming.refill();
    for (size_t n = 0; n < warming.size(); n++) get(warming.key(n), warming[n].row, &value);
    Operations operations(rows, valueBytes, false, nth);
    timed(meter, operations, 1, 16, limitSeconds, [&](size_t at, size_t) { get(operations.key(at), operations[at].row, &value); });
  }

  void getMissing(Meter& meter) {
    load();
    Operations operations(rows, valueBytes, false, [&](uint64_t n) { return Operation{Kind::kGet, uint32_t(rows + n)}; });
    std::string value;
    timed(meter, operations, 1, 16, limitSeconds, [&](size_t at, size_t) {
      const auto status = db->Get(reading, operations.key(at), &value);
      if (!status.IsNotFound()) fail(1, "a key that was never put: " + status.ToString());
    });
  }

  void scanFull(Meter& meter) {
    load();
    std::string key;
    std::string value;
    meter.start();
    std::unique_ptr<rocksdb::Iterator> iterator(db->NewIterator(reading));
    iterator->SeekToFirst();
    do {
      meter.count += walk(*iterator, 10'000, &key, &value);
      meter.stoppedEarly = iterator->Valid() && meter.secondsAt(Clock::now()) >= limitSeconds;
    } while (iterator->Valid() && !meter.stoppedEarly);
    meter.stop();
    if (!meter.stoppedEarly && meter.count != rows) fail(1, "the scan saw " + std::to_string(meter.count) + " rows");
  }

  void scan100(Meter& meter) {
    load();
    Random random(2);
    Operations operations(std::min<uint64_t>(kScans, std::max(rows / 50, 1u)), valueBytes, false,
                          [&](uint64_t) { return Operation{Kind::kScan, random.below(rows), 100}; });
    timedMix(meter, operations);
  }

  void timedMix(Meter& meter, Operations& operations) {
    std::string key;
    std::string value;
    timed(meter, operations, 1, 1, limitSeconds, [&](size_t at, size_t) {
      const auto operation = operations[at];
      if (operation.kind == Kind::kScan) {
        std::unique_ptr<rocksdb::Iterator> iterator(db->NewIterator(reading));
        iterator->Seek(operations.key(at));
        walk(*iterator, operation.length, &key, &value);
        return;
      }
      if (operation.kind != Kind::kPut) get(operations.key(at), operation.row, &value);
      if (operation.kind != Kind::kGet) check(db->Put(writing, operations.key(at), operations.value(at)));
    });
  }

  /** As YCSB's core workloads, as many operations as there are rows. */
  void ycsb(Meter& meter, char letter) {
    load();
    Random random(3);
    const Zipfian zipfian(rows);
    uint32_t inserted = rows;
    // Of a hundred operations; the rest is what is named last.
    const uint32_t reads = letter == 'a' || letter == 'f' ? 50 : letter == 'c' ? 100 : letter == 'e' ? 0 : 95;
    Operations operations(rows, valueBytes, true, [&](uint64_t) -> Operation {
      const auto dice = random.below(100);
      if (letter == 'e' && dice < 95) return {Kind::kScan, zipfian.scrambled(random), 1 + random.below(100)};
      if (letter == 'd' && dice < reads) return {Kind::kGet, inserted - 1 - zipfian.rank(random)};
      if (dice < reads) return {Kind::kGet, zipfian.scrambled(random)};
      if (letter == 'd' || letter == 'e') return {Kind::kPut, inserted++};
      return {letter == 'f' ? Kind::kReadModifyWrite : Kind::kPut, zipfian.scrambled(random)};
    });
    timedMix(meter, operations);
  }

  /** Milliseconds until the first key is there, three times, after the lowest 90 % of the keys were deleted. */
  std::vector<double> deleteLowest(Meter& meter) {
    load();
    std::vector<std::string> keys(rows, std::string(kKeyBytes, 0));
    for (uint32_t i = 0; i < rows; i++) writeKey(i, keys[i].data());
    std::sort(keys.begin(), keys.end());
    const size_t doomed = size_t(rows) * 9 / 10;
    rocksdb::WriteBatch batch;
    meter.start();
    for (size_t at = 0; at < doomed; at += 1000) {
      batch.Clear();
      for (size_t n = at; n < std::min(at + 1000, doomed); n++) check(batch.Delete(keys[n]));
      check(db->Write(writing, &batch));
    }
    meter.stop();
    meter.count = doomed;
    std::vector<double> seekMs;
    for (int n = 0; n < 3; n++) {
      const auto before = Clock::now();
      std::unique_ptr<rocksdb::Iterator> iterator(db->NewIterator(reading));
      iterator->SeekToFirst();
      if (!iterator->Valid() || iterator->key() != rocksdb::Slice(keys[doomed])) fail(1, "the first key is a wrong one");
      seekMs.push_back(double(nanosBetween(before, Clock::now())) / 1e6);
    }
    return seekMs;
  }

  /** False when there is no such workload. */
  bool run(Meter& meter, std::vector<double>& seekMs) {
    auto name = workload;
    // The same with larger values, which the caller asks for.
    if (name.size() > 3 && name.compare(name.size() - 3, 3, "-1k") == 0) name.resize(name.size() - 3);
    const auto is = [&](const char* other) { return name == other && (open(), true); };
    if (is("put-1")) {
      timedPuts(meter, puts(rows), limitSeconds);
    } else if (is("batch-100")) {
      timedBatches(meter, 100);
    } else if (is("batch-1000")) {
      timedBatches(meter, 1000);
    } else if (is("batch-1000-2gb")) {
      timedBatches(meter, 1000);
      meter.start();
      settle();
      meter.stop();
    } else if (is("overwrite-16")) {
      load();
      Random random(4);
      timedPuts(meter, {rows, valueBytes, true, [&](uint64_t) { return Operation{Kind::kPut, random.below(rows)}; }}, limitSeconds);
    } else if (is("durable-1")) {
      writing.sync = true;
      timedPuts(meter, puts(rows), std::min(kDurableSeconds, limitSeconds));
    } else if (is("get-hot-sync")) {
      getHot(meter);
    } else if (is("get-missing-sync")) {
      getMissing(meter);
    } else if (is("scan-full")) {
      scanFull(meter);
    } else if (is("scan-100")) {
      scan100(meter);
    } else if (name.size() == 6 && name.compare(0, 5, "ycsb-") == 0 && name[5] >= 'a' && name[5] <= 'f') {
      open();
      ycsb(meter, name[5]);
    } else if (is("delete-90")) {
      seekMs = deleteLowest(meter);
    } else {
      return false;
    }
    return true;
  }

  void report(const Meter& meter, std::vector<double> seekMs) {
    settle();
    std::printf("{ \"workload\": \"%s\", \"valueBytes\": %u, \"count\": %llu, \"seconds\": %.4f", workload.c_str(), valueBytes,
                static_cast<unsigned long long>(meter.count), meter.seconds());
    if (seekMs.empty()) std::printf(", \"perSecond\": %.1f", double(meter.count) / meter.seconds());
    if (!seekMs.empty()) {
      std::printf(", \"firstMs\": %.3f", seekMs.front());
      std::sort(seekMs.begin(), seekMs.end());
      std::printf(", \"medianMs\": %.3f", seekMs[seekMs.size() / 2]);
    }
    const auto& latencies = meter.latencies;
    if (latencies.count() > 0) {
      std::printf(", \"p50us\": %.2f, \"p99us\": %.2f, \"p999us\": %.2f, \"maxMs\": %.3f", latencies.percentileMicros(50),
                  latencies.percentileMicros(99), latencies.percentileMicros(99.9), double(latencies.maxNanos()) / 1e6);
    }
    std::printf(", \"cpuSeconds\": %.3f, \"writtenBytes\": %llu, \"diskBytes\": %llu, \"peakRssBytes\": %llu", meter.cpuSeconds(),
                static_cast<unsigned long long>(writtenBytesNow() - writtenBefore),
                static_cast<unsigned long long>(diskBytes(directory)), static_cast<unsigned long long>(peakRssBytes()));
    if (meter.stoppedEarly) std::printf(", \"note\": \"stopped after %.0f s\"", meter.seconds());
    std::printf(" }\n");
  }
};

/** The whole number an argument has to be. */
uint64_t numberOf(const char* argument, uint64_t least, uint64_t most) {
  char* end = nullptr;
  const auto number = std::strtoull(argument, &end, 10);
  if (end == argument || *end != 0 || number < least || number > most) {
    fail(2, std::string(argument) + " is not a whole number from " + std::to_string(least) + " to " + std::to_string(most));
  }
  return number;
}

}  // namespace

int main(int count, char** arguments) {
  if (count == 2 && std::string(arguments[1]) == "--version") {
    std::printf("%s\n", rocksdb::GetRocksVersionAsString().c_str());
    return 0;
  }
  if (count != 6) fail(2, "takes <workload> <directory> <rows> <valueBytes> <timeLimitSeconds>");
  // Twice the rows are numbered in 32 bits: inserts and keys that are missing come after them.
  Bench bench{arguments[1], arguments[2], uint32_t(numberOf(arguments[3], 1, 1u << 31)), uint32_t(numberOf(arguments[4], 4, 1 << 20)),
              std::strtod(arguments[5], nullptr)};
  if (!(bench.limitSeconds > 0)) fail(2, "the time limit has to be above 0 s");
  Meter meter;
  std::vector<double> seekMs;
  if (!bench.run(meter, seekMs)) fail(3, "no workload " + bench.workload);
  bench.report(meter, seekMs);
  return 0;
}
