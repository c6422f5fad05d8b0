#include "image.h"

#include <mtmd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "backend.h"
#include "error.h"

namespace llamawire {

namespace {

struct BitmapDeleter {
    void operator()(mtmd_bitmap* bitmap) const { mtmd_bitmap_free(bitmap); }
};
struct ChunksDeleter {
    void operator()(mtmd_input_chunks* chunks) const { mtmd_input_chunks_free(chunks); }
};
using Bitmap = std::unique_ptr<mtmd_bitmap, BitmapDeleter>;
using Chunks = std::unique_ptr<mtmd_input_chunks, ChunksDeleter>;

uint64_t file_size(const std::string& path) {
    std::FILE* file = std::fopen(path.c_str(), "rb");
    if (file == nullptr) {
        throw Error(Code::kInvalidArgument, "cannot open " + path + ": " + std::strerror(errno));
    }
    std::fclose(file);
    return std::filesystem::file_size(path);
}

std::string reason() {
    const std::string errors = Backend::take_errors();
    return errors.empty() ? "no reason given" : errors;
}

[[noreturn]] void throw_load_failure(const std::string& path) {
    const std::string errors = reason();
    const bool memory = errors.find("alloc") != std::string::npos ||
                        errors.find("out of memory") != std::string::npos;
    throw Error(memory ? Code::kResourceExhausted : Code::kInvalidArgument,
                "the projector " + path + " could not be loaded: " + errors);
}

mtmd_context_params context_params(const ImageEncoderOptions& options, int32_t num_thread) {
    mtmd_context_params params = mtmd_context_params_default();
    params.use_gpu = options.use_gpu && Backend::has_gpu();
    params.print_timings = false;
    params.n_threads = num_thread;
    params.warmup = true;  // builds the graph, so what is wrong with it shows at load
    return params;
}

// The picture as the projector wants it: tokens, and what is to be encoded.
Chunks prepare(const mtmd_context* context, const unsigned char* pixels, int32_t width,
               int32_t height) {
    const Bitmap bitmap(
        mtmd_bitmap_init(static_cast<uint32_t>(width), static_cast<uint32_t>(height), pixels));
    const char* marker = mtmd_get_marker(context);
    const mtmd_input_text text{marker, std::strlen(marker), false, true};
    const mtmd_bitmap* const bitmaps[] = {bitmap.get()};
    Chunks chunks(mtmd_input_chunks_init());
    if (mtmd_tokenize(context, chunks.get(), &text, bitmaps, 1) != 0) {
        throw Error(Code::kInvalidArgument, "the model cannot take a picture of " +
                                                std::to_string(width) + " x " +
                                                std::to_string(height) + ": " + reason());
    }
    return chunks;
}

}  // namespace

void set_image_log(ggml_log_callback callback) {
    mtmd_log_set(callback, nullptr);
}

void ImageEncoder::Deleter::operator()(mtmd_context* context) const {
    mtmd_free(context);
}

ImageEncoder::ImageEncoder(std::shared_ptr<const Model> model, const std::string& path,
                           const ImageEncoderOptions& options)
    : model_(std::move(model)), cache_(options.cache_bytes) {
    Backend::start();
    info_.size_bytes = file_size(path);
    const int32_t cores = usable_physical_cores();
    info_.num_thread = options.num_thread > 0 ? std::min(options.num_thread, usable_cpus())
                                              : std::max(cores / 2, 1);
    Backend::take_errors();
    context_.reset(mtmd_init_from_file(path.c_str(), model_->handle(),
                                       context_params(options, info_.num_thread)));
    if (context_ == nullptr) throw_load_failure(path);
    const auto refuse = [&path](const char* what) {
        throw Error(Code::kInvalidArgument, "the projector " + path + " " + what);
    };
    if (!mtmd_support_vision(context_.get())) refuse("takes no images");
    if (mtmd_decode_use_mrope(context_.get())) {
        refuse(
            "is for a model that places images in two dimensions (M-RoPE), which is not "
            "supported yet");
    }
    info_.is_causal = !mtmd_decode_use_non_causal(context_.get(), nullptr);
}

ImageEncoder::~ImageEncoder() = default;

std::shared_ptr<const Image> ImageEncoder::find(const std::string& digest) {
    std::shared_ptr<const Image> image = cache_.find(digest);
    if (image != nullptr) ++found_;
    return image;
}

std::shared_ptr<const Image> ImageEncoder::encode(const std::string& digest,
                                                  const unsigned char* pixels, int32_t width,
                                                  int32_t height) {
    if (width < 1 || height < 1 || width > kSideMax || height > kSideMax) {
        throw Error(Code::kInvalidArgument,
                    "the sides of a picture must be 1 to " + std::to_string(kSideMax) + " pixels");
    }
    const std::lock_guard lock(computes_);
    if (std::shared_ptr<const Image> image = find(digest)) return image;
    std::shared_ptr<const Image> image = compute(digest, pixels, width, height);
    ++encoded_;
    cache_.put(digest, image);
    return image;
}

std::shared_ptr<const Image> ImageEncoder::compute(const std::string& digest,
                                                   const unsigned char* pixels, int32_t width,
                                                   int32_t height) {
    Backend::take_errors();
    const Chunks chunks = prepare(context_.get(), pixels, width, height);
    auto image =
        std::make_shared<Image>(digest, model_->info().embedding_input_size, info_.is_causal);
    for (size_t i = 0; i < mtmd_input_chunks_size(chunks.get()); ++i) {
        const mtmd_input_chunk* chunk = mtmd_input_chunks_get(chunks.get(), i);
        if (mtmd_input_chunk_get_type(chunk) == MTMD_INPUT_CHUNK_TYPE_TEXT) {
            size_t count = 0;
            const llama_token* tokens = mtmd_input_chunk_get_tokens_text(chunk, &count);
            image->add_tokens(tokens, count);
            continue;
        }
        if (mtmd_encode_chunk(context_.get(), chunk) != 0) {
            throw Error(Code::kInternal, "the picture could not be encoded: " + reason());
        }
        image->add_chunk(mtmd_get_output_embd(context_.get()),
                         mtmd_input_chunk_get_n_tokens(chunk));
    }
    if (image->size() == 0) throw Error(Code::kInternal, "the picture gave no embeddings");
    return image;
}

ImageEncoderStats ImageEncoder::stats() const {
    return {encoded_, found_, static_cast<int64_t>(cache_.size()),
            static_cast<int64_t>(cache_.bytes())};
}

}  // namespace llamawire
