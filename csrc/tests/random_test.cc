#include "llamawire/random.h"

#include <doctest/doctest.h>

#include <set>

namespace llamawire {

// The known answers that come with the authors' Random123 library.
TEST_CASE("philox gives its published answers") {
    CHECK(philox({0, 0, 0, 0}, 0) == PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
    CHECK(philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, 0xffffffffffffffff) ==
          PhiloxBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
    CHECK(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0x299f31d0a4093822) ==
          PhiloxBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("a number depends on the seed, the index and the draw") {
    const std::set<double> numbers = {uniform(1, 0, 0),          uniform(2, 0, 0),
                                      uniform(1, 1, 0),          uniform(1, 0, 1),
                                      uniform(1ULL << 40, 0, 0), uniform(1, 1ULL << 40, 0)};
    CHECK(numbers.size() == 6);
    CHECK(uniform(1, 0, 0) == uniform(1, 0, 0));
}

TEST_CASE("numbers are spread evenly over [0, 1)") {
    int counts[10] = {};
    for (uint64_t index = 0; index < 10000; ++index) {
        const double number = uniform(42, index, 0);
        REQUIRE(number >= 0.0);
        REQUIRE(number < 1.0);
        ++counts[static_cast<int>(number * 10)];
    }
    for (int count : counts) CHECK((count > 850 && count < 1150));
}

}  // namespace llamawire
