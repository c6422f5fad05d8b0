// What an embedder does without llama.cpp: sharing inputs out, and the length of vectors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace llamawire {

// Cuts inputs of these lengths, given in falling order, into batches: the index at which each
// begins, and the end of all. A batch holds at most `tokens_max` tokens, unless it is one long
// input, and at most `sequences_max` inputs.
std::vector<size_t> pack(const std::vector<int32_t>& lengths, int32_t tokens_max,
                         int32_t sequences_max);

// Scales a vector to length 1. The length is summed up in float32 and taken as 1e-12 at least, so
// that a vector of zeros stays one.
void normalize(float* vector, size_t size);

}  // namespace llamawire
