#!/usr/bin/env bash
# Builds the fuzz targets with clang, libFuzzer, AddressSanitizer and UBSan, and runs one of them:
#
#   csrc/fuzz/run.sh                      # builds all and names them
#   csrc/fuzz/run.sh gbnf_fuzz -max_total_time=60 build/fuzz/gbnf_fuzz
#
# What stands behind the target goes to libFuzzer: its options, then folders of inputs, of which the
# first takes those that are new. Only our own code is instrumented.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=$root/build/cmake-fuzz
compiler=${FUZZ_CXX:-}
for name in clang++ clang++-19 clang++-18 clang++-17 clang++-16 clang++-14; do
    [ -n "$compiler" ] && break
    if echo 'extern "C" int LLVMFuzzerTestOneInput(const char*, long) { return 0; }' |
        "$name" -x c++ -fsanitize=fuzzer,address - -o /dev/null 2>/dev/null; then
        compiler=$name
    fi
done
if [ -z "$compiler" ]; then
    echo "csrc fuzz: skipped, clang with libFuzzer is missing (Debian, Ubuntu: apt install clang-19 libclang-rt-19-dev; FUZZ_CXX names one)"
    exit 77
fi
cmake -S "$root/csrc" -B "$folder" -G Ninja -DLLAMAWIRE_FUZZ=ON -DLLAMAWIRE_SANITIZE=address \
    -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_C_COMPILER="${compiler/clang++/clang}" \
    ${LLAMA_CPP_DIR:+"-DLLAMA_CPP_DIR=$LLAMA_CPP_DIR"} \
    >"$folder.log" 2>&1 || { cat "$folder.log"; exit 1; }
cmake --build "$folder" --target llamawire_fuzz >"$folder.log" 2>&1 || { cat "$folder.log"; exit 1; }
if [ $# = 0 ]; then
    (cd "$folder/fuzz" && ls -- *_fuzz)
    exit 0
fi
export UBSAN_OPTIONS="print_stacktrace=1 ${UBSAN_OPTIONS:-}"
exec "$folder/fuzz/$1" "${@:2}"
