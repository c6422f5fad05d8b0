#include "llamawire/backend.h"

#include <doctest/doctest.h>

#include <cstdlib>

namespace llamawire {

TEST_CASE("a cgroup's quota is read from either version's files") {
    CHECK(parse_cpu_max("max 100000") == 0.0);
    CHECK(parse_cpu_max("150000 100000") == doctest::Approx(1.5));
    CHECK(parse_cpu_max("") == 0.0);
    CHECK(parse_cfs_quota("-1", "100000") == 0.0);
    CHECK(parse_cfs_quota("200000", "100000") == doctest::Approx(2.0));
    CHECK(parse_cfs_quota("", "") == 0.0);
}

TEST_CASE("the CPUs of the process are counted") {
    CHECK(usable_cpus() >= 1);
    CHECK(usable_physical_cores() >= 1);
    CHECK(usable_physical_cores() <= usable_cpus());
}

TEST_CASE("the environment is put in order before llama.cpp sees it") {
    Backend::start();
    CHECK(std::string(std::getenv("GGML_NO_BACKTRACE")) == "1");
    CHECK(std::getenv("LLAMA_GRAPH_REUSE_DISABLE") == nullptr);
    CHECK_FALSE(Backend::build_commit().empty());
    CHECK_FALSE(Backend::system_info().empty());
    CHECK_FALSE(Backend::devices().empty());
}

}  // namespace llamawire
