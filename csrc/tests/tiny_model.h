// A llama of random weights, a few hundred kilobytes, written by gguf's own writer.
#pragma once

#include <memory>
#include <string>

#include "llamawire/model.h"

namespace llamawire {

struct TinyShape {
    int32_t embedding = 64;
    int32_t blocks = 2;
    int32_t heads = 4;
    int32_t feed_forward = 128;
    int32_t vocab = 300;
    uint32_t seed = 1;
};

std::string write_tiny_model(const TinyShape& shape);  // the file's path
std::shared_ptr<const Model> load_tiny_model(const TinyShape& shape = {});

}  // namespace llamawire
