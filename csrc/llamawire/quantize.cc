#include "quantize.h"

#include <llama.h>

#include <algorithm>
#include <cctype>
#include <exception>

#include "backend.h"
#include "error.h"

namespace llamawire {

namespace {

struct Type {
    const char* name;
    llama_ftype ftype;
};

constexpr Type kTypes[] = {
    {"F32", LLAMA_FTYPE_ALL_F32},          {"F16", LLAMA_FTYPE_MOSTLY_F16},
    {"BF16", LLAMA_FTYPE_MOSTLY_BF16},     {"Q8_0", LLAMA_FTYPE_MOSTLY_Q8_0},
    {"Q6_K", LLAMA_FTYPE_MOSTLY_Q6_K},     {"Q5_0", LLAMA_FTYPE_MOSTLY_Q5_0},
    {"Q5_1", LLAMA_FTYPE_MOSTLY_Q5_1},     {"Q5_K_S", LLAMA_FTYPE_MOSTLY_Q5_K_S},
    {"Q5_K_M", LLAMA_FTYPE_MOSTLY_Q5_K_M}, {"Q4_0", LLAMA_FTYPE_MOSTLY_Q4_0},
    {"Q4_1", LLAMA_FTYPE_MOSTLY_Q4_1},     {"Q4_K_S", LLAMA_FTYPE_MOSTLY_Q4_K_S},
    {"Q4_K_M", LLAMA_FTYPE_MOSTLY_Q4_K_M}, {"Q3_K_S", LLAMA_FTYPE_MOSTLY_Q3_K_S},
    {"Q3_K_M", LLAMA_FTYPE_MOSTLY_Q3_K_M}, {"Q3_K_L", LLAMA_FTYPE_MOSTLY_Q3_K_L},
    {"Q2_K", LLAMA_FTYPE_MOSTLY_Q2_K},     {"Q2_K_S", LLAMA_FTYPE_MOSTLY_Q2_K_S},
    {"IQ4_NL", LLAMA_FTYPE_MOSTLY_IQ4_NL}, {"IQ4_XS", LLAMA_FTYPE_MOSTLY_IQ4_XS},
    {"IQ3_S", LLAMA_FTYPE_MOSTLY_IQ3_S},   {"IQ3_M", LLAMA_FTYPE_MOSTLY_IQ3_M},
    {"IQ3_XS", LLAMA_FTYPE_MOSTLY_IQ3_XS}, {"TQ1_0", LLAMA_FTYPE_MOSTLY_TQ1_0},
    {"TQ2_0", LLAMA_FTYPE_MOSTLY_TQ2_0},   {"MXFP4_MOE", LLAMA_FTYPE_MOSTLY_MXFP4_MOE},
    {"Q1_0", LLAMA_FTYPE_MOSTLY_Q1_0},     {"Q2_0", LLAMA_FTYPE_MOSTLY_Q2_0},
};

llama_ftype ftype_of(const std::string& name) {
    const auto* const found = std::find_if(std::begin(kTypes), std::end(kTypes),
                                           [&](const Type& type) { return name == type.name; });
    if (found == std::end(kTypes)) {
        throw Error(Code::kInvalidArgument, "unsupported quantization type " + name);
    }
    return found->ftype;
}

}  // namespace

std::vector<std::string> quantize_types() {
    std::vector<std::string> names;
    for (const Type& type : kTypes) names.emplace_back(type.name);
    return names;
}

void quantize(const std::string& input, const std::string& output, const std::string& type,
              int32_t num_threads) {
    Backend::start();
    llama_model_quantize_params params = llama_model_quantize_default_params();
    params.ftype = ftype_of(type);
    params.nthread = num_threads > 0 ? num_threads : usable_cpus();
    Backend::take_errors();
    std::string reason;
    try {
        if (llama_model_quantize(input.c_str(), output.c_str(), &params) == 0) return;
        reason = Backend::take_errors();
    } catch (const std::exception& error) {
        reason = error.what();
    }
    throw Error(Code::kInvalidArgument, "cannot be quantized to " + type + ": " + reason);
}

}  // namespace llamawire
