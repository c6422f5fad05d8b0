// What llama.cpp asserts of a GGUF file, asked before it does.
//
// Most of a damaged file makes llama.cpp's loader return an error. Some values make it abort the
// process instead; those are looked up in the header first and refused with a sentence. The list
// follows the assertions of the pinned version that a file can reach: look at it with each new pin.
#pragma once

#include <string>

namespace llamawire {

// Throws Error(kInvalidArgument) that names the file and the key. Reads the header only; a file
// that has no sound header passes, since the loader refuses it well by itself.
void check_file(const std::string& path);

}  // namespace llamawire
