// From pixels to embeddings: a projector file over mtmd, llama.cpp's second library.
//
// An encoder belongs to one model and one projector, so its cache is keyed by the picture alone.
// What it gives is what a prompt holds in the picture's place: embeddings, and around them the
// tokens that the model was trained to see there.
//
// Threads: any; `encode` computes for one caller at a time, the others wait. It runs beside the
// decode loop, with threads of its own.
#pragma once

#include <ggml.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "image_cache.h"
#include "image_span.h"
#include "model.h"

struct mtmd_context;

namespace llamawire {

struct ImageEncoderOptions {
    bool use_gpu = true;                         // where there is one
    int32_t num_thread = 0;                      // 0: half of the cores, since a loop runs beside
    uint64_t cache_bytes = uint64_t{256} << 20;  // of encoded images that are kept
};

struct ImageEncoderInfo {
    uint64_t size_bytes = 0;  // of the projector's weights
    bool is_causal = true;    // see Image
    int32_t num_thread = 0;
};

struct ImageEncoderStats {
    int64_t encoded = 0;     // pictures computed
    int64_t found = 0;       // pictures taken from the cache
    int64_t cache_size = 0;  // images there
    int64_t cache_bytes = 0;
};

// mtmd has a log setting of its own; Backend::start sets it with the others.
void set_image_log(ggml_log_callback callback);

class ImageEncoder {
  public:
    // Of a side of a picture; mtmd counts in int.
    static constexpr int32_t kSideMax = 32768;

    // Throws Error: kInvalidArgument (no projector of images, or not one for this model),
    // kResourceExhausted (memory).
    ImageEncoder(std::shared_ptr<const Model> model, const std::string& path,
                 const ImageEncoderOptions& options);
    ~ImageEncoder();
    ImageEncoder(const ImageEncoder&) = delete;
    ImageEncoder& operator=(const ImageEncoder&) = delete;

    // The image with this digest if it is kept, else null.
    std::shared_ptr<const Image> find(const std::string& digest);
    // `pixels`: height rows of width pixels of red, green, blue. Throws Error: kInvalidArgument
    // (sides; a picture that the projector cannot take), kInternal.
    std::shared_ptr<const Image> encode(const std::string& digest, const unsigned char* pixels,
                                        int32_t width, int32_t height);

    const ImageEncoderInfo& info() const { return info_; }
    ImageEncoderStats stats() const;

  private:
    struct Deleter {
        void operator()(mtmd_context* context) const;
    };

    std::shared_ptr<const Image> compute(const std::string& digest, const unsigned char* pixels,
                                         int32_t width, int32_t height);

    const std::shared_ptr<const Model> model_;  // outlives the context
    std::unique_ptr<mtmd_context, Deleter> context_;
    ImageEncoderInfo info_;
    ImageCache cache_;
    std::mutex computes_;
    std::atomic<int64_t> encoded_{0}, found_{0};
};

}  // namespace llamawire
