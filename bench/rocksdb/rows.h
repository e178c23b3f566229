// The rows of bench/memory/rows.mjs, byte for byte: key and value of row i are functions of i. And who asks for which row.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

constexpr uint32_t kKeyBytes = 16;

inline uint32_t mix(uint32_t hash) {
  hash = (hash ^ (hash >> 16)) * 0x85ebca6bu;
  hash = (hash ^ (hash >> 13)) * 0xc2b2ae35u;
  return hash ^ (hash >> 16);
}

inline uint32_t step(uint32_t state) {
  state ^= state << 13;
  state ^= state >> 17;
  return state ^ (state << 5);
}

inline void writeBigEndian(uint32_t number, char* to) {
  to[0] = char(number >> 24);
  to[1] = char(number >> 16);
  to[2] = char(number >> 8);
  to[3] = char(number);
}

inline void writeLittleEndian(uint32_t number, char* to) {
  to[0] = char(number);
  to[1] = char(number >> 8);
  to[2] = char(number >> 16);
  to[3] = char(number >> 24);
}

inline uint32_t readBigEndian(const char* from) {
  const auto* at = reinterpret_cast<const unsigned char*>(from);
  return uint32_t(at[0]) << 24 | uint32_t(at[1]) << 16 | uint32_t(at[2]) << 8 | at[3];
}

inline uint32_t readLittleEndian(const char* from) {
  const auto* at = reinterpret_cast<const unsigned char*>(from);
  return uint32_t(at[3]) << 24 | uint32_t(at[2]) << 16 | uint32_t(at[1]) << 8 | at[0];
}

/** Two hashes of i (so keys come in random order), i itself (so they are unique) and a third hash. */
inline void writeKey(uint32_t i, char* to) {
  writeBigEndian(mix(i ^ 0x9e3779b9u), to);
  writeBigEndian(mix(i + 0x7f4a7c15u), to + 4);
  writeBigEndian(i, to + 8);
  writeBigEndian(mix(i + 0x3c6ef372u), to + 12);
}

/** Begins with i, is random up to its half and the same letters from there. At least 4 bytes. */
inline void writeValue(uint32_t i, uint32_t valueBytes, char* to) {
  writeLittleEndian(i, to);
  uint32_t state = mix(i + 1);
  if (state == 0) state = 1;
  uint32_t at = 4;
  for (; at + 4 <= valueBytes / 2; at += 4) {
    state = step(state);
    writeLittleEndian(state, to + at);
  }
  for (uint32_t letter = at % 9; at < valueBytes; at++) {
    to[at] = "spillway "[letter];
    if (++letter == 9) letter = 0;
  }
}

/** Numbers in an order that is the same in every run. */
class Random {
 public:
  explicit Random(uint32_t seed) : state_(mix(seed)) {
    if (state_ == 0) state_ = 1;
  }

  uint32_t below(uint32_t bound) { return (state_ = step(state_)) % bound; }

  /** From 0 to below 1. */
  double unit() { return (state_ = step(state_)) / 4294967296.0; }

 private:
  uint32_t state_;
};

/** Ranks from 0 (the most frequent) to below `items`, by the method of Gray et al. that YCSB uses, theta 0.99. */
class Zipfian {
 public:
  explicit Zipfian(uint32_t items) : items_(items) {
    for (uint32_t n = 1; n <= items; n++) zeta_ += std::pow(n, -kTheta);
    const double zetaOfTwo = 1 + std::pow(2, -kTheta);
    eta_ = (1 - std::pow(2.0 / items, 1 - kTheta)) / (1 - zetaOfTwo / zeta_);
  }

  uint32_t rank(Random& random) const {
    const double unit = random.unit();
    const double scaled = unit * zeta_;
    if (scaled < 1 || items_ < 3) return 0;
    if (scaled < 1 + std::pow(0.5, kTheta)) return 1;
    const auto rank = uint32_t(items_ * std::pow(eta_ * unit - eta_ + 1, 1 / (1 - kTheta)));
    return rank < items_ ? rank : items_ - 1;
  }

  /** The same frequencies, the frequent ones spread over all of the rows. */
  uint32_t scrambled(Random& random) const {
    uint64_t hash = 0xcbf29ce484222325u;
    for (uint32_t rest = rank(random), n = 0; n < 8; n++, rest >>= 8) hash = (hash ^ (rest & 0xff)) * 0x100000001b3u;
    return uint32_t(hash % items_);
  }

 private:
  static constexpr double kTheta = 0.99;
  uint32_t items_;
  double zeta_ = 0;
  double eta_ = 0;
};
