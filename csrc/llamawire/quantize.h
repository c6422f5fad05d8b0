// Writes a GGUF file anew with its matrices in another type.
//
// llama.cpp has no way to stop it and tells of its progress only in its log (level info, a line a
// tensor that begins with [done/all]), so it belongs into a process of its own: whoever started that
// reads the log and ends it.
//
// Threads: one at a time in a process.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace llamawire {

// The names of the types: those of llama.cpp's file types, as people write them (Q4_K_M).
std::vector<std::string> quantize_types();

// num_threads 0: as many as this process may use. Throws Error: kInvalidArgument for an unknown type
// or a file that cannot be quantized to it; what is at `output` then is to be removed.
void quantize(const std::string& input, const std::string& output, const std::string& type,
              int32_t num_threads);

}  // namespace llamawire
