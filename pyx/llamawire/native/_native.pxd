# csrc as Cython sees it, in the headers' order and only what the wrapper uses.

from libc.stdint cimport int32_t, int64_t, uint64_t
from libcpp cimport bool as cbool
from libcpp.memory cimport shared_ptr, unique_ptr
from libcpp.string cimport string
from libcpp.vector cimport vector

# Turns the C++ exception at hand into a NativeError; Cython calls it with the GIL.
cdef int raise_native_error() except -1


cdef extern from "<atomic>" namespace "std" nogil:
    cdef cppclass atomic[T]:
        T load()


cdef extern from "<chrono>" namespace "std::chrono" nogil:
    cdef cppclass nanoseconds:
        nanoseconds(int64_t)


cdef extern from "llamawire/error.h" namespace "llamawire" nogil:
    cdef struct Failure:
        const char* code
        string message

    Failure current_failure() except +


cdef extern from "llamawire/image_span.h" namespace "llamawire" nogil:
    cdef cppclass CppImage "llamawire::Image":
        const vector[int32_t]& ids()
        size_t bytes()

    cdef cppclass ImageSpan:
        int32_t begin
        shared_ptr[const CppImage] image


cdef extern from "llamawire/options.h" namespace "llamawire" nogil:
    cdef cppclass LoopOptions:
        int32_t num_parallel
        int32_t num_ctx
        int32_t num_batch
        int32_t num_thread
        int32_t queue_max
        int32_t flash_attention
        string kv_cache_type
        cbool kv_unified
        int32_t prefill_budget_ms
        int32_t image_chunk_max

    cdef cppclass SamplingOptions:
        uint64_t seed
        float temperature
        int32_t top_k
        float top_p
        float min_p
        float typical_p
        int32_t repeat_last_n
        float repeat_penalty
        float presence_penalty
        float frequency_penalty
        cbool penalize_newline

    cdef cppclass ThinkingOptions:
        int32_t budget_tokens
        string opening
        vector[string] closings
        cbool is_open
        cbool reopens
        vector[int32_t] ending

    cdef cppclass JobOptions:
        int32_t num_ctx
        int32_t num_batch
        int32_t num_predict
        int32_t num_keep
        cbool shift
        cbool cache_prompt
        cbool reproducible
        cbool isolated
        int32_t priority
        string user
        SamplingOptions sampling
        vector[string] stop
        string grammar
        string grammar_root
        string grammar_frame
        vector[string] marks
        ThinkingOptions thinking
        int32_t top_logprobs

    cdef cppclass JobRequest:
        uint64_t job_id
        vector[int32_t] prompt
        vector[ImageSpan] images
        vector[int32_t] generated
        uint64_t emitted_bytes
        JobOptions options


cdef extern from "llamawire/logprobs.h" namespace "llamawire" nogil:
    cdef struct Logprob:
        int32_t token
        float logprob


cdef extern from "llamawire/queue.h" namespace "llamawire" nogil:
    cdef enum class Kind "llamawire::Event::Kind":
        kStarted
        kTokens
        kFinished
        kFailed

    cdef cppclass CppEvent "llamawire::Event":
        uint64_t job_id
        Kind kind
        int32_t token
        string text
        vector[Logprob] logprobs
        const char* reason
        const char* code
        string message
        int32_t cached
        int64_t prompt_count
        int64_t generated_count
        int64_t shift_count
        int64_t prompt_ns
        int64_t generate_ns


cdef extern from "llamawire/backend.h" namespace "llamawire" nogil:
    cdef cppclass Device:
        string name
        string description
        string kind
        uint64_t memory_free
        uint64_t memory_total

    cdef cppclass Backend:
        @staticmethod
        void start() except +raise_native_error

        @staticmethod
        void use_numa() except +raise_native_error

        @staticmethod
        void check_cpu() except +raise_native_error

        @staticmethod
        string system_info() except +raise_native_error

        @staticmethod
        string build_commit() except +raise_native_error

        @staticmethod
        string build_id() except +raise_native_error

        @staticmethod
        vector[Device] devices() except +raise_native_error


cdef extern from "llamawire/quantize.h" namespace "llamawire" nogil:
    vector[string] c_quantize_types "llamawire::quantize_types"() except +raise_native_error
    void c_quantize "llamawire::quantize"(
        const string& input, const string& output, const string& type, int32_t num_threads
    ) except +raise_native_error


cdef extern from "llamawire/model.h" namespace "llamawire" nogil:
    cdef cppclass CppLoadProgress "llamawire::LoadProgress":
        CppLoadProgress() except +raise_native_error
        atomic[float] fraction
        void cancel()

    cdef cppclass ModelOptions:
        int32_t num_gpu
        int32_t main_gpu
        int32_t use_mmap
        vector[string] adapters

    cdef cppclass ModelInfo:
        string description
        string architecture
        uint64_t parameter_count
        uint64_t size_bytes
        int32_t num_ctx_train
        int32_t vocab_size
        int32_t embedding_size
        int32_t layer_count
        cbool adds_bos
        cbool adds_eos
        cbool adds_sep
        int32_t bos_token
        int32_t eos_token
        int32_t sep_token
        string bos_text
        string eos_text
        cbool can_shift
        cbool has_encoder
        cbool has_decoder
        cbool is_recurrent
        cbool has_fim

    cdef cppclass CppModel "llamawire::Model":
        @staticmethod
        shared_ptr[CppModel] load(const string&, const ModelOptions&, CppLoadProgress*) \
            except +raise_native_error
        const ModelInfo& info()
        vector[int32_t] tokenize(const string&, cbool, cbool) except +raise_native_error
        string detokenize(const int32_t*, size_t, cbool) except +raise_native_error
        void check_tokens(const int32_t*, size_t) except +raise_native_error
        cbool is_end(int32_t)


cdef extern from "llamawire/image.h" namespace "llamawire" nogil:
    cdef cppclass ImageEncoderOptions:
        int32_t num_thread
        uint64_t cache_bytes

    cdef struct ImageEncoderInfo:
        uint64_t size_bytes
        cbool is_causal
        int32_t num_thread

    cdef struct ImageEncoderStats:
        int64_t encoded
        int64_t found
        int64_t cache_size
        int64_t cache_bytes

    cdef cppclass CppImageEncoder "llamawire::ImageEncoder":
        CppImageEncoder(shared_ptr[CppModel], const string&, const ImageEncoderOptions&) \
            except +raise_native_error
        shared_ptr[const CppImage] find(const string&) except +raise_native_error
        shared_ptr[const CppImage] encode(
            const string&, const unsigned char*, int32_t, int32_t
        ) except +raise_native_error
        const ImageEncoderInfo& info()
        ImageEncoderStats stats()


cdef extern from "llamawire/embedder.h" namespace "llamawire" nogil:
    cdef cppclass EmbedderOptions:
        int32_t num_ctx
        int32_t num_batch
        int32_t num_thread
        int32_t flash_attention
        string pooling

    cdef struct EmbedderInfo:
        int32_t width
        int32_t input_tokens_max
        int32_t num_batch
        int32_t num_thread
        cbool ranks

    cdef cppclass CppCancellation "llamawire::Cancellation":
        CppCancellation() except +raise_native_error
        void ask()
        int64_t beats

    cdef cppclass CppEmbedder "llamawire::Embedder":
        CppEmbedder(shared_ptr[CppModel], const EmbedderOptions&) except +raise_native_error
        const EmbedderInfo& info()
        void embed(const vector[vector[int32_t]]&, float*, const CppCancellation*) \
            except +raise_native_error


cdef extern from "llamawire/loop.h" namespace "llamawire" nogil:
    cdef struct LoopInfo:
        int32_t num_parallel
        int32_t num_ctx
        int32_t num_batch
        int32_t num_thread
        int32_t num_thread_prefill
        uint64_t kv_bytes
        cbool can_shift
        cbool can_reuse_prefix
        cbool flash_attention

    cdef struct LoopStats:
        int64_t steps
        int64_t decoded_rows
        int64_t ghost_rows
        int64_t prefill_tokens
        int64_t cached_tokens
        int64_t shifts
        int64_t lost_caches
        int64_t active
        int64_t queued
        int64_t beats

    cdef cppclass CppLoop "llamawire::Loop":
        CppLoop(shared_ptr[CppModel], const LoopOptions&) except +raise_native_error
        void submit(JobRequest) except +raise_native_error
        void prepare_grammar(const string&, const string&) except +raise_native_error
        void cancel(uint64_t) except +raise_native_error
        void pause(uint64_t) except +raise_native_error
        void resume(uint64_t) except +raise_native_error
        void wait(nanoseconds, vector[CppEvent]*) except +raise_native_error
        LoopStats stats()
        const LoopInfo& info()
        void close() except +raise_native_error
