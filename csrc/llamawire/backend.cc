#include "backend.h"

#include <ggml-backend.h>
#include <llama.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <set>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#endif

#include "error.h"
#include "image.h"

// LLAMAWIRE_BUILD_ID, LLAMAWIRE_LLAMA_COMMIT and LLAMAWIRE_BASELINE_V3 come from CMake.

namespace llamawire {

namespace {

constexpr size_t kErrorsMax = 2048;  // bytes of log kept as the reason of a failure

// They choose other kernels or another graph than the one that was tested and measured.
constexpr const char* kUnwanted[] = {
    "LLAMA_GRAPH_REUSE_DISABLE",
    "LLAMA_ATTN_ROT_DISABLE",
    "GGML_CUDA_DISABLE_FUSION",
    "GGML_CUDA_GRAPH_OPT",
    "GGML_CUDA_P2P",
    "GGML_CUDA_NO_PINNED",
    "GGML_CPU_DISABLE_FUSION",
    "GGML_CUDA_ENABLE_UNIFIED_MEMORY",
    "GGML_OP_OFFLOAD_MIN_BATCH",
    "GGML_BACKEND_PATH",
    "OMP_WAIT_POLICY",
    "KMP_BLOCKTIME",
};

thread_local std::string log_line;
thread_local ggml_log_level log_level = GGML_LOG_LEVEL_INFO;
thread_local std::string logged_errors;
thread_local bool (*is_log_muted)(void*) = nullptr;
thread_local void* log_mute_data = nullptr;

ggml_log_level lowest_level() {
    const char* value = std::getenv("LLAMAWIRE_NATIVE_LOG");
    const std::string name = value == nullptr ? "" : value;
    if (name == "debug") return GGML_LOG_LEVEL_DEBUG;
    if (name == "info") return GGML_LOG_LEVEL_INFO;
    if (name == "error") return GGML_LOG_LEVEL_ERROR;
    return GGML_LOG_LEVEL_WARN;
}

// Fragments come from any thread; a line is written when it is whole, by one write.
void on_log(ggml_log_level level, const char* text, void* /*unused*/) {
    static const ggml_log_level kLowest = lowest_level();
    if (level != GGML_LOG_LEVEL_CONT) log_level = level;
    log_line += text;
    if (log_line.empty() || log_line.back() != '\n') return;
    if (is_log_muted != nullptr && is_log_muted(log_mute_data)) {
        log_line.clear();
        return;
    }
    if (log_level == GGML_LOG_LEVEL_ERROR && logged_errors.size() < kErrorsMax) {
        logged_errors += log_line;
    }
    if (log_level >= kLowest) std::fwrite(log_line.data(), 1, log_line.size(), stderr);
    log_line.clear();
}

std::string read_line(const std::string& path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

#if defined(__linux__)
// The folder of this process below a controller's mount, from /proc/self/cgroup ("id:names:path").
std::string cgroup_folder(const std::string& controller) {
    std::ifstream file("/proc/self/cgroup");
    for (std::string line; std::getline(file, line);) {
        const size_t first = line.find(':');
        const size_t second = line.find(':', first + 1);
        if (second == std::string::npos) continue;
        const std::string names = "," + line.substr(first + 1, second - first - 1) + ",";
        const bool matches = controller.empty()
                                 ? names == ",,"
                                 : names.find("," + controller + ",") != std::string::npos;
        if (matches) return line.substr(second + 1);
    }
    return "";
}

// The smallest quota on the way from this process's group up to the root. Inside a container the
// path may name the host's tree; then only the root, which is the container's own, is found.
template <typename Read>
double smallest_quota(const std::string& mount, std::string folder, Read read) {
    double quota = 0.0;
    for (;;) {
        const double here = read(mount + folder);
        if (here > 0.0 && (quota == 0.0 || here < quota)) quota = here;
        if (folder.empty() || folder == "/") return quota;
        folder.erase(folder.find_last_of('/'));
    }
}

double cgroup_quota() {
    const double v2 = smallest_quota("/sys/fs/cgroup", cgroup_folder(""), [](const auto& folder) {
        return parse_cpu_max(read_line(folder + "/cpu.max"));
    });
    const double v1 =
        smallest_quota("/sys/fs/cgroup/cpu", cgroup_folder("cpu"), [](const auto& folder) {
            return parse_cfs_quota(read_line(folder + "/cpu.cfs_quota_us"),
                                   read_line(folder + "/cpu.cfs_period_us"));
        });
    if (v1 == 0.0 || v2 == 0.0) return std::max(v1, v2);
    return std::min(v1, v2);
}

std::vector<int> affinity() {
    cpu_set_t set;
    std::vector<int> cpus;
    if (sched_getaffinity(0, sizeof(set), &set) != 0) return cpus;
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
    }
    return cpus;
}
#else
double cgroup_quota() {
    return 0.0;
}
std::vector<int> affinity() {
    return {};
}
#endif

int32_t within_quota(size_t cpus) {
    const double quota = cgroup_quota();
    const double limit = quota > 0.0 ? std::max(std::floor(quota), 1.0) : 1e9;
    return static_cast<int32_t>(std::max(std::min<double>(static_cast<double>(cpus), limit), 1.0));
}

}  // namespace

void Backend::start() {
    static std::once_flag once;
    std::call_once(once, [] {
        setenv("GGML_NO_BACKTRACE", "1", 1);
        for (const char* name : kUnwanted) unsetenv(name);
        llama_log_set(on_log, nullptr);
        set_image_log(on_log);
        llama_backend_init();
    });
}

void Backend::use_numa() {
    start();
    llama_numa_init(GGML_NUMA_STRATEGY_DISTRIBUTE);
}

void Backend::check_cpu() {
#if LLAMAWIRE_BASELINE_V3 && (defined(__x86_64__) || defined(__amd64__))
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") ||
        !__builtin_cpu_supports("bmi2")) {
        throw Error(Code::kFailedPrecondition,
                    "this build of llamawire needs a CPU with AVX2, FMA and BMI2 (x86-64-v3); "
                    "build it from source for this machine: pip install --no-binary llamawire "
                    "llamawire");
    }
#endif
}

std::string Backend::system_info() {
    start();
    return llama_print_system_info();
}

std::string Backend::build_commit() {
    return LLAMAWIRE_LLAMA_COMMIT;
}
std::string Backend::build_id() {
    return LLAMAWIRE_BUILD_ID;
}

std::vector<Device> Backend::devices() {
    start();
    std::vector<Device> devices;
    for (size_t i = 0; i < ggml_backend_dev_count(); ++i) {
        ggml_backend_dev_t handle = ggml_backend_dev_get(i);
        Device device;
        device.name = ggml_backend_dev_name(handle);
        device.description = ggml_backend_dev_description(handle);
        switch (ggml_backend_dev_type(handle)) {
            case GGML_BACKEND_DEVICE_TYPE_CPU:
                device.kind = "cpu";
                break;
            case GGML_BACKEND_DEVICE_TYPE_GPU:
            case GGML_BACKEND_DEVICE_TYPE_IGPU:
                device.kind = "gpu";
                break;
            default:
                device.kind = "accel";
        }
        size_t free = 0;
        size_t total = 0;
        ggml_backend_dev_memory(handle, &free, &total);
        device.memory_free = free;
        device.memory_total = total;
        devices.push_back(std::move(device));
    }
    return devices;
}

bool Backend::has_gpu() {
    start();
    return llama_supports_gpu_offload();
}

std::string Backend::take_errors() {
    std::string errors = std::move(logged_errors);
    logged_errors.clear();
    while (!errors.empty() && errors.back() == '\n') errors.pop_back();
    std::replace(errors.begin(), errors.end(), '\n', ' ');
    return errors;
}

MutedLog::MutedLog(bool (*is_muted)(void*), void* data) {
    is_log_muted = is_muted;
    log_mute_data = data;
}

MutedLog::~MutedLog() {
    is_log_muted = nullptr;
}

int32_t usable_cpus() {
    const size_t allowed = affinity().size();
    return within_quota(allowed > 0 ? allowed : std::thread::hardware_concurrency());
}

int32_t usable_physical_cores() {
    std::set<std::string> cores;
    for (int cpu : affinity()) {
        const std::string siblings = read_line("/sys/devices/system/cpu/cpu" + std::to_string(cpu) +
                                               "/topology/thread_siblings_list");
        cores.insert(siblings.empty() ? std::to_string(cpu) : siblings);
    }
    return within_quota(cores.empty() ? std::thread::hardware_concurrency() : cores.size());
}

double parse_cpu_max(const std::string& cpu_max) {
    const size_t space = cpu_max.find(' ');
    if (space == std::string::npos) return 0.0;
    return parse_cfs_quota(cpu_max.substr(0, space), cpu_max.substr(space + 1));
}

double parse_cfs_quota(const std::string& quota_us, const std::string& period_us) {
    // What is no number ("max", a missing file's "") reads as 0: no quota.
    const double quota = std::strtod(quota_us.c_str(), nullptr);
    const double period = std::strtod(period_us.c_str(), nullptr);
    return quota > 0.0 && period > 0.0 ? quota / period : 0.0;
}

}  // namespace llamawire
