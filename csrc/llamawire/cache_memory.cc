#include "cache_memory.h"

#include <ggml-backend.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <system_error>

#ifdef __linux__
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#endif

namespace llamawire {

namespace {

thread_local CacheMemory* collector = nullptr;

}  // namespace

CacheMemory::Scope::Scope(CacheMemory* memory) {
    collector = memory;
}

CacheMemory::Scope::~Scope() {
    collector = nullptr;
}

CacheMemory::~CacheMemory() {
    is_unwanted_ = true;
    wait();
}

void CacheMemory::wait() {
    if (thread_.joinable()) thread_.join();
}

#ifdef __linux__

namespace {

// A smaller buffer is cleared sooner than it is looked at.
constexpr size_t kWorthwhile = size_t{1} << 20;
// A cache is given up within the time that so much takes.
constexpr size_t kPortion = size_t{4} << 20;
// Whoever computes goes first.
constexpr int kNiceness = 10;
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

// The whole pages of a buffer.
CacheMemory::Range pages_of(char* begin, size_t size) {
    const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    const auto address = reinterpret_cast<uintptr_t>(begin);
    const uintptr_t first = (address + page - 1) / page * page;
    const uintptr_t last = (address + size) / page * page;
    return {begin + (first - address), last - first};
}

}  // namespace

struct BufferClear {
    // False: llama.cpp is to clear it.
    static bool collect(ggml_backend_buffer_t buffer) {
        // Other types of buffers are files, or known to a device.
        if (collector == nullptr || ggml_backend_buffer_get_size(buffer) < kWorthwhile ||
            ggml_backend_buffer_get_type(buffer) != ggml_backend_cpu_buffer_type()) {
            return false;
        }
        auto* const begin = static_cast<char*>(ggml_backend_buffer_get_base(buffer));
        const size_t size = ggml_backend_buffer_get_size(buffer);
        const CacheMemory::Range pages = pages_of(begin, size);
        if (madvise(pages.begin, pages.size, MADV_DONTNEED) != 0) return false;
        char* const end = pages.begin + pages.size;
        std::memset(begin, 0, static_cast<size_t>(pages.begin - begin));
        std::memset(end, 0, static_cast<size_t>(begin + size - end));
        collector->ranges_.push_back(pages);
        return true;
    }
};

void CacheMemory::commit() {
    const auto take = [this] {
        setpriority(PRIO_PROCESS, 0, kNiceness);  // on Linux that is the thread
        for (const Range& range : ranges_) {
            for (size_t done = 0; done < range.size && !is_unwanted_; done += kPortion) {
                const size_t size = std::min(kPortion, range.size - done);
                if (madvise(range.begin + done, size, MADV_POPULATE_WRITE) != 0) return;
            }
        }
    };
    if (ranges_.empty()) return;
    try {
        thread_ = std::thread(take);
    } catch (const std::system_error&) {
        // No thread to be had; the pages come as they are used.
    }
}

#else

void CacheMemory::commit() {}

#endif

}  // namespace llamawire

#ifdef __linux__

// The linker's --wrap: calls of the first name come to the second, and the third is the original.
extern "C" {
void __real_ggml_backend_buffer_clear(ggml_backend_buffer_t buffer, uint8_t value);
void __wrap_ggml_backend_buffer_clear(ggml_backend_buffer_t buffer, uint8_t value);

void __wrap_ggml_backend_buffer_clear(ggml_backend_buffer_t buffer, uint8_t value) {
    if (value != 0 || buffer == nullptr || !llamawire::BufferClear::collect(buffer)) {
        __real_ggml_backend_buffer_clear(buffer, value);
    }
}
}

#endif
