#include "file_check.h"

#include <gguf.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string_view>
#include <unordered_set>

#include "error.h"

namespace llamawire {

namespace {

constexpr int64_t kBlocksMax = 512;    // LLAMA_MAX_LAYERS
constexpr int64_t kExpertsMax = 1024;  // LLAMA_MAX_EXPERTS
constexpr int32_t kByteToken = 6;

class Header {
  public:
    explicit Header(const std::string& path)
        : path_(path), gguf_(gguf_init_from_file(path.c_str(), {true, nullptr}), gguf_free) {
        if (gguf_ == nullptr) return;
        architecture_ = text("general.architecture");
        if (gguf_get_n_tensors(gguf_.get()) == 0) refuse("it has no tensors");
    }

    void check() const {
        if (gguf_ == nullptr) return;
        check_shape();
        check_experts();
        check_vocabulary();
    }

  private:
    [[noreturn]] void refuse(const std::string& reason) const {
        throw Error(Code::kInvalidArgument, path_ + " is not a sound model: " + reason);
    }

    std::string own(const char* key) const { return architecture_ + "." + key; }

    int64_t find(const std::string& key, gguf_type type) const {
        const int64_t id = gguf_find_key(gguf_.get(), key.c_str());
        return id >= 0 && gguf_get_kv_type(gguf_.get(), id) == type ? id : -1;
    }

    int64_t find_array(const std::string& key, gguf_type type) const {
        const int64_t id = find(key, GGUF_TYPE_ARRAY);
        return id >= 0 && gguf_get_arr_type(gguf_.get(), id) == type ? id : -1;
    }

    std::string text(const std::string& key) const {
        const int64_t id = find(key, GGUF_TYPE_STRING);
        return id < 0 ? "" : gguf_get_val_str(gguf_.get(), id);
    }

    // Of another type, the loader refuses it.
    int64_t number(const std::string& key, int64_t otherwise) const {
        const int64_t id = find(key, GGUF_TYPE_UINT32);
        return id < 0 ? otherwise : gguf_get_val_u32(gguf_.get(), id);
    }

    void check_range(const char* key, int64_t least, int64_t most, int64_t otherwise) const {
        const int64_t value = number(own(key), otherwise);
        if (value < least || value > most) {
            refuse(own(key) + " is " + std::to_string(value) + ", not within " +
                   std::to_string(least) + " and " + std::to_string(most));
        }
    }

    void check_shape() const {
        check_range("block_count", 1, kBlocksMax, 1);
        check_range("nextn_predict_layers", 0, number(own("block_count"), kBlocksMax), 0);
        for (const char* key : {"attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon",
                                "attention.group_norm_epsilon"}) {
            const int64_t id = find(own(key), GGUF_TYPE_FLOAT32);
            if (id >= 0 && !(gguf_get_val_f32(gguf_.get(), id) >= 0.0F)) {
                refuse(own(key) + " is not a positive number");
            }
        }
        const std::string scaling = text(own("rope.scaling.type"));
        constexpr std::string_view kKnown[] = {"", "none", "linear", "yarn", "longrope"};
        if (std::find(std::begin(kKnown), std::end(kKnown), scaling) == std::end(kKnown)) {
            refuse(own("rope.scaling.type") + " is unknown: " + scaling);
        }
    }

    int64_t experts_used() const {
        const int64_t id = find_array(own("expert_used_count"), GGUF_TYPE_UINT32);
        if (id < 0) return number(own("expert_used_count"), 0);
        const auto* values = static_cast<const uint32_t*>(gguf_get_arr_data(gguf_.get(), id));
        const size_t count = gguf_get_arr_n(gguf_.get(), id);
        return count == 0 ? 0 : *std::max_element(values, values + count);
    }

    void check_experts() const {
        check_range("expert_count", 0, kExpertsMax, 0);
        const int64_t experts = number(own("expert_count"), 0);
        const int64_t used = experts_used();
        // This architecture's loader forgets a single expert.
        const bool forgotten = experts == 1 && architecture_.rfind("hunyuan", 0) == 0;
        if (!forgotten && (used > experts || (experts > 0 && used == 0))) {
            refuse(own("expert_used_count") + " is " + std::to_string(used) + " of " +
                   std::to_string(experts) + " experts");
        }
        const int64_t groups = number(own("expert_group_count"), 0);
        const int64_t groups_used = number(own("expert_group_used_count"), 0);
        const bool divides =
            groups <= 1 || (experts % groups == 0 && groups_used > 0 && groups_used < groups);
        if (!divides || (groups > 0 && groups >= experts)) {
            refuse(own("expert_group_count") + " does not suit " + std::to_string(experts) +
                   " experts");
        }
    }

    void check_vocabulary() const {
        const int64_t tokens = find_array("tokenizer.ggml.tokens", GGUF_TYPE_STRING);
        if (tokens < 0) return;
        const size_t count = gguf_get_arr_n(gguf_.get(), tokens);
        std::unordered_set<std::string_view> seen(count);
        for (size_t i = 0; i < count; ++i) {
            const std::string_view token = gguf_get_arr_str(gguf_.get(), tokens, i);
            if (!token.empty() && !seen.insert(token).second) {
                refuse("the token \"" + std::string(token) + "\" occurs twice");
            }
        }
        if (text("tokenizer.ggml.model") == "bert") check_no_bytes();
    }

    // A WordPiece vocabulary has no byte tokens; spelling one aborts.
    void check_no_bytes() const {
        const int64_t types = find_array("tokenizer.ggml.token_type", GGUF_TYPE_INT32);
        if (types < 0) return;
        const auto* values = static_cast<const int32_t*>(gguf_get_arr_data(gguf_.get(), types));
        const size_t count = gguf_get_arr_n(gguf_.get(), types);
        if (std::find(values, values + count, kByteToken) != values + count) {
            refuse("a bert vocabulary with byte tokens");
        }
    }

    const std::string& path_;
    std::unique_ptr<gguf_context, void (*)(gguf_context*)> gguf_;
    std::string architecture_;
};

}  // namespace

void check_file(const std::string& path) {
    Header(path).check();
}

}  // namespace llamawire
