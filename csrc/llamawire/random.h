// Random numbers without a state: a number is a function of (seed, token index, draw number).
//
// A run that is taken up again after a crash, a token that is sampled a second time, a row that
// changes its stream: each asks for the same number and gets it, and there is nothing to save. The
// function is Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).
#pragma once

#include <array>
#include <cstdint>

namespace llamawire {

using PhiloxBlock = std::array<uint32_t, 4>;

// The ten rounds over one counter under one key.
inline PhiloxBlock philox(PhiloxBlock counter, uint64_t key) {
    auto key0 = static_cast<uint32_t>(key);
    auto key1 = static_cast<uint32_t>(key >> 32);
    for (int round = 0; round < 10; ++round) {
        const uint64_t product0 = uint64_t{0xD2511F53} * counter[0];
        const uint64_t product1 = uint64_t{0xCD9E8D57} * counter[2];
        counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key0,
                   static_cast<uint32_t>(product1),
                   static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key1,
                   static_cast<uint32_t>(product0)};
        key0 += 0x9E3779B9;
        key1 += 0xBB67AE85;
    }
    return counter;
}

// A number in [0, 1) with 53 random bits. `index` is the generated token's, counted from 0;
// `draw` tells apart the numbers that one token needs.
inline double uniform(uint64_t seed, uint64_t index, uint32_t draw) {
    const PhiloxBlock block =
        philox({static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32), draw, 0}, seed);
    const uint64_t bits = (uint64_t{block[1]} << 32 | block[0]) >> 11;
    return static_cast<double>(bits) * 0x1.0p-53;
}

}  // namespace llamawire
