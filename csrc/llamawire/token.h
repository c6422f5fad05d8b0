// The id of a token in a model's vocabulary.
#pragma once

#include <cstdint>

namespace llamawire {

using Token = int32_t;

}  // namespace llamawire
