#!/usr/bin/env bash
# Builds and runs the C++ tests. SANITIZE=address or thread instruments our own code, in a build
# folder of its own; with ccache, llama.cpp's objects are those of the plain build.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
sanitize=${SANITIZE:-}
folder=$root/build/cmake${sanitize:+-$sanitize}
if ! "${CXX:-c++}" -E -x c++ -include doctest/doctest.h /dev/null >/dev/null 2>&1; then
    echo "csrc tests: skipped, doctest is missing (Debian, Ubuntu: apt install doctest-dev)"
    exit 0
fi
cmake -S "$root/csrc" -B "$folder" -G Ninja -DLLAMAWIRE_TESTS=ON -DLLAMAWIRE_SANITIZE="$sanitize" \
    ${LLAMA_CPP_DIR:+"-DLLAMA_CPP_DIR=$LLAMA_CPP_DIR"} \
    >"$folder.log" 2>&1 || { cat "$folder.log"; exit 1; }
if [ "$sanitize" = thread ]; then
    export TSAN_OPTIONS="suppressions=$root/csrc/tests/tsan.supp ${TSAN_OPTIONS:-}"
fi
cmake --build "$folder" --target llamawire_unit_tests llamawire_model_tests
ctest --test-dir "$folder" --output-on-failure
