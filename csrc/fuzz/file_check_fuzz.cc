// GGUF files: whatever a header says, it is taken or refused with a sentence. llama.cpp's reader of
// headers runs in front of the check, and is held to the same.
//
// Bytes at random do not come past the magic, so the input steers a writer, whose files are sound
// but for what it is told to change: names, types, counts, lengths and where the file ends. A first
// byte of 255 has the rest taken for the file as it is.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <fuzzer/FuzzedDataProvider.h>
#include <ggml.h>

#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "llamawire/error.h"
#include "llamawire/file_check.h"
#include "require.h"

namespace llamawire {

namespace {

constexpr uint32_t kString = 8;
constexpr uint32_t kArray = 9;
constexpr uint32_t kTypes = 13;
constexpr size_t kEntriesMax = 24;

class Writer {
  public:
    explicit Writer(FuzzedDataProvider* data) : data_(data) {}

    std::string write() {
        const auto keys = data_->ConsumeIntegralInRange<uint64_t>(0, kEntriesMax);
        const auto tensors = data_->ConsumeIntegralInRange<uint64_t>(0, 6);
        file_ = rarely() ? "GGUG" : "GGUF";
        number<uint32_t>(rarely() ? data_->ConsumeIntegral<uint32_t>() : 3);
        count(tensors);
        count(keys);
        for (uint64_t i = 0; i < keys; ++i) write_key();
        uint64_t offset = 0;
        for (uint64_t i = 0; i < tensors; ++i) write_tensor(i, &offset);
        file_.append((32 - file_.size() % 32) % 32 + offset, '\0');
        if (rarely()) file_.resize(data_->ConsumeIntegralInRange<size_t>(0, file_.size()));
        return file_;
    }

  private:
    bool rarely() { return data_->ConsumeIntegralInRange<int>(0, 31) == 31; }

    template <typename T>
    void number(T value) {
        file_.append(reinterpret_cast<const char*>(&value), sizeof value);
    }

    // What is counted is there, but for now and then.
    void count(uint64_t value) {
        constexpr uint64_t kLies[] = {
            0,           1,           255,         1U << 16U,
            1ULL << 31U, 1ULL << 32U, 1ULL << 61U, std::numeric_limits<int64_t>::max(),
            UINT64_MAX};
        if (rarely()) value = data_->ConsumeBool() ? value + 1 : data_->PickValueInArray(kLies);
        number<uint64_t>(value);
    }

    void text(const std::string& value) {
        count(value.size());
        file_ += value;
    }

    std::string word() {
        static const char* const kWords[] = {
            "llama",    "hunyuan-moe", "bert", "gpt2", "clip", "none",   "linear", "yarn",
            "longrope", "dynamic",     "",     "a",    "b",    "<0x41>", "[PAD]",  "spm"};
        return rarely() ? data_->ConsumeRandomLengthString(40) : data_->PickValueInArray(kWords);
    }

    std::string key() {
        static const char* const kKeys[] = {
            "general.architecture", "general.alignment",     "general.name",
            "tokenizer.ggml.model", "tokenizer.ggml.tokens", "tokenizer.ggml.token_type",
            "split.count"};
        static const char* const kOfModels[] = {"block_count",
                                                "nextn_predict_layers",
                                                "attention.layer_norm_rms_epsilon",
                                                "attention.layer_norm_epsilon",
                                                "attention.group_norm_epsilon",
                                                "rope.scaling.type",
                                                "expert_count",
                                                "expert_used_count",
                                                "expert_group_count",
                                                "expert_group_used_count",
                                                "context_length",
                                                "attention.head_count"};
        if (rarely()) return data_->ConsumeRandomLengthString(70);
        if (data_->ConsumeBool()) return data_->PickValueInArray(kKeys);
        return std::string(data_->ConsumeBool() ? "llama" : "hunyuan-moe") + "." +
               data_->PickValueInArray(kOfModels);
    }

    void write_key() {
        const std::string name = key();
        text(name);
        uint32_t type = kind_of(name);
        if (rarely()) type = data_->ConsumeIntegralInRange<uint32_t>(0, kTypes + 1);
        number(type);
        if (type != kArray) return value(type);
        type = name == "tokenizer.ggml.tokens" ? kString : kind_of(name);
        if (type == kArray || rarely()) {
            type = data_->ConsumeIntegralInRange<uint32_t>(0, kTypes + 1);
        }
        const auto length = data_->ConsumeIntegralInRange<uint64_t>(0, 9);
        number(type);
        count(length);
        for (uint64_t i = 0; i < length; ++i) value(type);
    }

    uint32_t kind_of(const std::string& name) {
        const auto ends = [&name](const std::string& end) {
            return name.size() >= end.size() &&
                   name.compare(name.size() - end.size(), end.size(), end) == 0;
        };
        if (ends("tokens")) return kArray;
        if (ends("token_type")) return file_.size() % 2 == 0 ? kArray : 5;
        if (ends("epsilon")) return 6;
        if (ends("architecture") || ends("model") || ends("name") || ends("scaling.type")) {
            return kString;
        }
        if (ends("used_count") && data_->ConsumeBool()) return kArray;
        return 4;
    }

    void value(uint32_t type) {
        constexpr size_t kSizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
        if (type == kString) return text(word());
        if (type >= kTypes || type == kArray) return;
        const uint64_t bits = data_->ConsumeBool() ? data_->ConsumeIntegralInRange(0, 8)
                                                   : data_->ConsumeIntegral<uint64_t>();
        file_.append(reinterpret_cast<const char*>(&bits), kSizes[type]);
    }

    void write_tensor(uint64_t index, uint64_t* offset) {
        text(rarely() ? word() : "t" + std::to_string(index));
        const auto dimensions = data_->ConsumeIntegralInRange<uint32_t>(1, 4);
        number<uint32_t>(rarely() ? data_->ConsumeIntegral<uint32_t>() : dimensions);
        uint64_t elements = 1;
        for (uint32_t i = 0; i < dimensions; ++i) {
            const auto size = data_->ConsumeIntegralInRange<uint64_t>(1, 5);
            elements *= size;
            count(size);
        }
        number<uint32_t>(rarely() ? data_->ConsumeIntegralInRange<uint32_t>(0, GGML_TYPE_COUNT)
                                  : 0);
        number<uint64_t>(rarely() ? data_->ConsumeIntegral<uint64_t>() : *offset);
        *offset += (elements * 4 + 31) / 32 * 32;
    }

    FuzzedDataProvider* data_;
    std::string file_;
};

void check(const std::string& file) {
    static const int descriptor = memfd_create("fuzz", 0);
    static const std::string path = "/proc/self/fd/" + std::to_string(descriptor);
    REQUIRE(ftruncate(descriptor, 0) == 0);
    REQUIRE(pwrite(descriptor, file.data(), file.size(), 0) == static_cast<ssize_t>(file.size()));
    try {
        check_file(path);
    } catch (const Error& error) {
        REQUIRE(error.code() == Code::kInvalidArgument);
        REQUIRE(std::strstr(error.what(), "is not a sound model") != nullptr);
    }
}

}  // namespace

}  // namespace llamawire

extern "C" int LLVMFuzzerInitialize(int* /*count*/, char*** /*arguments*/) {
    ggml_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    if (size > 0 && bytes[0] == 255) {
        llamawire::check({reinterpret_cast<const char*>(bytes) + 1, size - 1});
        return 0;
    }
    FuzzedDataProvider data(bytes, size);
    llamawire::check(llamawire::Writer(&data).write());
    return 0;
}
