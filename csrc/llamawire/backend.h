// The process-wide side of llama.cpp: set up once; its environment, log, devices and CPUs.
//
// llama.cpp has settings that are global and not locked (log callback, environment variables that
// change kernels, a terminate handler that forks a debugger). `Backend::start` puts them in order
// before the first call and is cheap ever after; every entry of csrc calls it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace llamawire {

struct Device {
    std::string name;
    std::string description;
    std::string kind;  // cpu, gpu or accel
    uint64_t memory_free = 0;
    uint64_t memory_total = 0;
};

class Backend {
  public:
    // Thread-safe; the first call does the work.
    static void start();

    // Spreads threads and memory over NUMA nodes. Before the first model; for the whole process.
    static void use_numa();

    // Throws Error(kFailedPrecondition) where this build's instructions are not to be had.
    static void check_cpu();

    static std::string system_info();
    static std::string build_commit();  // the pin of llama.cpp
    static std::string build_id();      // of llamawire's own sources, set by the build
    static std::vector<Device> devices();
    static bool has_gpu();

    // llama.cpp reports why it failed only in its log. These are the errors that this thread logged
    // since the last call, joined; clears them.
    static std::string take_errors();
};

// While one lives, and `is_muted` says so, what this thread logs is dropped: llama.cpp reports an
// aborted computation as a failure, and it is none.
class MutedLog {
  public:
    MutedLog(bool (*is_muted)(void*), void* data);
    ~MutedLog();
    MutedLog(const MutedLog&) = delete;
    MutedLog& operator=(const MutedLog&) = delete;
};

// What of the machine this process may use; each is at least 1.
int32_t usable_cpus();            // by affinity and quota
int32_t usable_physical_cores();  // the same, hyperthreads counted once

// The CPU quota in a cgroup's file(s): cpus, or 0 for none. Pure, for tests.
double parse_cpu_max(const std::string& cpu_max);                                   // v2
double parse_cfs_quota(const std::string& quota_us, const std::string& period_us);  // v1

}  // namespace llamawire
