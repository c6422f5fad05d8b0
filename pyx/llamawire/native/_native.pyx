# cython: language_level=3, auto_pickle=False, embedsignature=False, freethreading_compatible=False
# distutils: language=c++
"""The decode loop, as Python sees it; the docstrings stand in `_native.pyi`."""

import os

import numpy as np

cimport cython
from cython.operator cimport dereference
from libc.stdint cimport INT32_MAX, INT32_MIN
from libcpp.utility cimport move

EVENT_STARTED = <int>Kind.kStarted
EVENT_TOKENS = <int>Kind.kTokens
EVENT_FINISHED = <int>Kind.kFinished
EVENT_FAILED = <int>Kind.kFailed

cdef double WAIT_MAX_S = 3600.0


class NativeError(Exception):
    def __init__(self, message, code="INTERNAL"):
        super().__init__(message)
        self.code = code


cdef int raise_native_error() except -1:
    cdef Failure failure = current_failure()
    raise NativeError(text(failure.message), failure.code.decode("ascii"))


# ---- conversions ---------------------------------------------------------------------------------


cdef str text(const string& utf8):
    return utf8.decode("utf-8", "replace")


cdef string utf8(object value, str name) except *:
    try:
        return value.encode("utf-8")
    except UnicodeEncodeError:
        raise NativeError(f"{name} is not valid Unicode", "INVALID_ARGUMENT") from None


# Numbers come from a request; one beyond 32 bits means the greatest there is, and is refused by
# name where there is a limit.
cdef int32_t int32(object value) except? -1:
    return max(INT32_MIN, min(INT32_MAX, value))


cdef int32_t choice(object value) except? -1:
    return -1 if value is None else <int32_t>bool(value)


cdef vector[int32_t] token_vector(object tokens) except *:
    cdef vector[int32_t] ids
    cdef const int64_t[::1] view
    cdef Py_ssize_t i
    try:
        view = np.ascontiguousarray(tokens, dtype=np.int64)
    except (OverflowError, TypeError, ValueError) as error:
        raise NativeError(f"token ids must be integers: {error}", "INVALID_ARGUMENT") from None
    ids.reserve(view.shape[0])
    for i in range(view.shape[0]):
        if view[i] != <int32_t>view[i]:
            raise NativeError(f"token id {view[i]} is outside the vocabulary", "INVALID_ARGUMENT")
        ids.push_back(<int32_t>view[i])
    return ids


# ---- the build and the machine -------------------------------------------------------------------

Backend.check_cpu()


def system_info():
    return text(Backend.system_info())


def use_numa():
    Backend.use_numa()


def quantize_types():
    return [text(name) for name in c_quantize_types()]


def quantize(input, output, type, num_thread=0):
    cdef string c_input = os.fsencode(input)
    cdef string c_output = os.fsencode(output)
    cdef string c_type = utf8(type, "type")
    cdef int32_t threads = int32(num_thread)
    with nogil:
        c_quantize(c_input, c_output, c_type, threads)


def build_commit():
    return text(Backend.build_commit())


def build_id():
    return text(Backend.build_id())


def devices():
    return [
        {
            "name": text(device.name),
            "description": text(device.description),
            "kind": text(device.kind),
            "memory_free": device.memory_free,
            "memory_total": device.memory_total,
        }
        for device in Backend.devices()
    ]


# ---- Model ---------------------------------------------------------------------------------------


@cython.final
cdef class LoadProgress:
    cdef unique_ptr[CppLoadProgress] handle

    def __cinit__(self):
        self.handle.reset(new CppLoadProgress())

    @property
    def fraction(self):
        return dereference(self.handle).fraction.load()

    def cancel(self):
        dereference(self.handle).cancel()


@cython.final
cdef class Model:
    cdef shared_ptr[CppModel] handle

    def __cinit__(
        self, path, *, num_gpu=-1, main_gpu=0, use_mmap=None, adapters=(),
        LoadProgress progress=None,
    ):
        cdef string file = os.fsencode(path)
        cdef ModelOptions options
        cdef CppLoadProgress* watched = NULL
        if progress is not None:
            watched = progress.handle.get()
        options.num_gpu = int32(num_gpu)
        options.main_gpu = int32(main_gpu)
        options.use_mmap = choice(use_mmap)
        for adapter in adapters:
            options.adapters.push_back(os.fsencode(adapter))
        with nogil:
            self.handle = CppModel.load(file, options, watched)

    def __dealloc__(self):
        with nogil:
            self.handle.reset()

    @property
    def info(self):
        cdef const ModelInfo* info = &dereference(self.handle).info()
        return {
            "description": text(info.description),
            "architecture": text(info.architecture),
            "parameter_count": info.parameter_count,
            "size_bytes": info.size_bytes,
            "num_ctx_train": info.num_ctx_train,
            "vocab_size": info.vocab_size,
            "embedding_size": info.embedding_size,
            "layer_count": info.layer_count,
            "adds_bos": info.adds_bos,
            "adds_eos": info.adds_eos,
            "adds_sep": info.adds_sep,
            "bos_token": info.bos_token,
            "eos_token": info.eos_token,
            "sep_token": info.sep_token,
            "bos_text": text(info.bos_text),
            "eos_text": text(info.eos_text),
            "can_shift": info.can_shift,
            "has_encoder": info.has_encoder,
            "has_decoder": info.has_decoder,
            "is_recurrent": info.is_recurrent,
            "has_fim": info.has_fim,
        }

    def tokenize(self, text, *, add_special, parse_special):
        cdef string bytes_ = utf8(text, "text")
        cdef cbool special = add_special
        cdef cbool parse = parse_special
        cdef vector[int32_t] ids
        with nogil:
            ids = dereference(self.handle).tokenize(bytes_, special, parse)
        if ids.empty():
            return np.empty(0, dtype=np.int32)
        return np.array(<int32_t[:ids.size()]>ids.data())

    def detokenize(self, tokens, *, skip_special=False):
        cdef vector[int32_t] ids = token_vector(tokens)
        cdef cbool skip = skip_special
        cdef string bytes_
        with nogil:
            bytes_ = dereference(self.handle).detokenize(ids.data(), ids.size(), skip)
        return bytes_

    def is_end_of_generation(self, token):
        cdef int32_t id_ = int32(token)
        dereference(self.handle).check_tokens(&id_, 1)
        return dereference(self.handle).is_end(id_)


# ---- images --------------------------------------------------------------------------------------


@cython.final
cdef class Image:
    cdef shared_ptr[const CppImage] handle

    def __init__(self):
        raise TypeError("an Image comes from ImageEncoder")

    @property
    def ids(self):
        cdef vector[int32_t] ids = dereference(self.handle).ids()
        return np.array(<int32_t[:ids.size()]>ids.data())

    @property
    def nbytes(self):
        return dereference(self.handle).bytes()


cdef Image new_image(shared_ptr[const CppImage] handle):
    cdef Image image
    if handle == NULL:
        return None
    image = Image.__new__(Image)
    image.handle = handle
    return image


@cython.final
cdef class ImageEncoder:
    cdef unique_ptr[CppImageEncoder] handle

    def __cinit__(self, Model model not None, path, *, num_thread=0, cache_bytes=256 << 20):
        cdef string file = os.fsencode(path)
        cdef ImageEncoderOptions options
        options.num_thread = int32(num_thread)
        options.cache_bytes = cache_bytes
        with nogil:
            self.handle.reset(new CppImageEncoder(model.handle, file, options))

    def __dealloc__(self):
        with nogil:
            self.handle.reset()

    @property
    def info(self):
        return <ImageEncoderInfo>dereference(self.handle).info()

    @property
    def stats(self):
        return dereference(self.handle).stats()

    def find(self, bytes digest not None):
        return new_image(dereference(self.handle).find(digest))

    def encode(self, bytes digest not None, pixels):
        cdef string digest_ = digest
        cdef const unsigned char[:, :, ::1] view = pixels
        cdef int32_t height = int32(view.shape[0])
        cdef int32_t width = int32(view.shape[1])
        cdef const unsigned char* data = &view[0, 0, 0] if view.size else NULL
        cdef shared_ptr[const CppImage] image
        if view.shape[2] != 3:
            raise NativeError("pixels must have three colours", "INVALID_ARGUMENT")
        with nogil:
            image = dereference(self.handle).encode(digest_, data, width, height)
        return new_image(image)


cdef vector[ImageSpan] image_spans(object images) except *:
    cdef vector[ImageSpan] spans
    cdef ImageSpan span
    cdef Image image
    for begin, image in images:
        span.begin = int32(begin)
        span.image = image.handle
        spans.push_back(span)
    return spans


# ---- Loop ----------------------------------------------------------------------------------------


@cython.final
cdef class Event:
    cdef readonly uint64_t job_id
    cdef readonly int kind
    cdef readonly list tokens
    cdef readonly bytes text
    cdef readonly list logprobs
    cdef readonly str reason
    cdef readonly str code
    cdef readonly str message
    cdef readonly int32_t cached
    cdef readonly int64_t prompt_count
    cdef readonly int64_t generated_count
    cdef readonly int64_t shift_count
    cdef readonly int64_t prompt_ns
    cdef readonly int64_t generate_ns

    def __repr__(self):
        names = {
            EVENT_STARTED: f"STARTED cached={self.cached}",
            EVENT_TOKENS: f"TOKENS {self.tokens} {self.text!r}",
            EVENT_FINISHED: f"FINISHED {self.reason} generated={self.generated_count}",
            EVENT_FAILED: f"FAILED {self.code}: {self.message}",
        }
        return f"<Event {self.job_id} {names[self.kind]}>"


cdef list logprob_list(const vector[Logprob]& logprobs):
    cdef size_t i
    return [(logprobs[i].token, logprobs[i].logprob) for i in range(logprobs.size())]


cdef Event new_event(const CppEvent& source):
    cdef Event event = Event.__new__(Event)
    event.job_id = source.job_id
    event.kind = <int>source.kind
    event.tokens = [source.token] if source.token >= 0 else []
    event.text = source.text
    event.logprobs = logprob_list(source.logprobs)
    event.reason = source.reason.decode("ascii")
    event.code = source.code.decode("ascii")
    event.message = text(source.message)
    event.cached = source.cached
    event.prompt_count = source.prompt_count
    event.generated_count = source.generated_count
    event.shift_count = source.shift_count
    event.prompt_ns = source.prompt_ns
    event.generate_ns = source.generate_ns
    return event


@cython.final
cdef class Loop:
    cdef unique_ptr[CppLoop] handle
    cdef vector[CppEvent] events  # of the last `wait`; kept for its memory
    cdef bint is_waited_on

    def __cinit__(
        self,
        Model model not None,
        *,
        num_parallel=4,
        num_ctx=4096,
        num_batch=512,
        num_thread=0,
        queue_max=1024,
        flash_attention=None,
        kv_cache_type="f16",
        kv_unified=False,
        prefill_budget_ms=50,
        image_chunk_max=0,
    ):
        cdef LoopOptions options
        options.num_parallel = int32(num_parallel)
        options.num_ctx = int32(num_ctx)
        options.num_batch = int32(num_batch)
        options.num_thread = int32(num_thread)
        options.queue_max = int32(queue_max)
        options.flash_attention = choice(flash_attention)
        options.kv_cache_type = utf8(kv_cache_type, "kv_cache_type")
        options.kv_unified = kv_unified
        options.prefill_budget_ms = int32(prefill_budget_ms)
        options.image_chunk_max = int32(image_chunk_max)
        with nogil:
            self.handle.reset(new CppLoop(model.handle, options))

    def __dealloc__(self):
        with nogil:
            self.handle.reset()

    @property
    def info(self):
        return <LoopInfo>dereference(self.handle).info()

    def submit(
        self,
        job_id,
        prompt,
        *,
        images=(),
        generated=(),
        emitted_bytes=0,
        num_ctx=0,
        num_batch=0,
        num_predict=-1,
        num_keep=4,
        shift=True,
        seed=0,
        temperature=0.8,
        top_k=40,
        top_p=0.9,
        min_p=0.0,
        typical_p=1.0,
        repeat_last_n=64,
        repeat_penalty=1.0,
        presence_penalty=0.0,
        frequency_penalty=0.0,
        penalize_newline=True,
        stop=(),
        grammar="",
        grammar_root="root",
        grammar_frame="",
        marks=(),
        thinking_budget=-1,
        thinking_opening="",
        thinking_closings=(),
        thinking_is_open=False,
        thinking_reopens=False,
        thinking_ending=(),
        top_logprobs=-1,
        cache_prompt=True,
        reproducible=True,
        isolated=False,
        priority=0,
        user="",
    ):
        cdef JobRequest request
        cdef JobOptions* options = &request.options
        cdef SamplingOptions* sampling = &request.options.sampling
        cdef ThinkingOptions* thinking = &request.options.thinking
        request.job_id = job_id
        request.prompt = token_vector(prompt)
        request.images = image_spans(images)
        request.generated = token_vector(generated)
        request.emitted_bytes = emitted_bytes
        options.num_ctx = int32(num_ctx)
        options.num_batch = int32(num_batch)
        options.num_predict = int32(num_predict)
        options.num_keep = int32(num_keep)
        options.shift = shift
        options.cache_prompt = cache_prompt
        options.reproducible = reproducible
        options.isolated = isolated
        options.priority = int32(priority)
        options.user = utf8(user, "user")
        for string_ in stop:
            options.stop.push_back(utf8(string_, "stop"))
        options.grammar = utf8(grammar, "grammar")
        options.grammar_root = utf8(grammar_root, "grammar_root")
        options.grammar_frame = utf8(grammar_frame, "grammar_frame")
        options.top_logprobs = int32(top_logprobs)
        for string_ in marks:
            options.marks.push_back(utf8(string_, "marks"))
        thinking.budget_tokens = int32(thinking_budget)
        thinking.opening = utf8(thinking_opening, "thinking_opening")
        for string_ in thinking_closings:
            thinking.closings.push_back(utf8(string_, "thinking_closings"))
        thinking.is_open = thinking_is_open
        thinking.reopens = thinking_reopens
        thinking.ending = token_vector(thinking_ending)
        sampling.seed = seed & 0xFFFFFFFFFFFFFFFF
        sampling.temperature = temperature
        sampling.top_k = int32(top_k)
        sampling.top_p = top_p
        sampling.min_p = min_p
        sampling.typical_p = typical_p
        sampling.repeat_last_n = int32(repeat_last_n)
        sampling.repeat_penalty = repeat_penalty
        sampling.presence_penalty = presence_penalty
        sampling.frequency_penalty = frequency_penalty
        sampling.penalize_newline = penalize_newline
        with nogil:
            dereference(self.handle).submit(move(request))

    def prepare_grammar(self, text, root="root"):
        cdef string text_ = utf8(text, "grammar")
        cdef string root_ = utf8(root, "grammar_root")
        with nogil:
            dereference(self.handle).prepare_grammar(text_, root_)

    def cancel(self, job_id):
        cdef uint64_t id_ = job_id
        with nogil:
            dereference(self.handle).cancel(id_)

    def pause(self, job_id):
        cdef uint64_t id_ = job_id
        with nogil:
            dereference(self.handle).pause(id_)

    def resume(self, job_id):
        cdef uint64_t id_ = job_id
        with nogil:
            dereference(self.handle).resume(id_)

    def wait(self, timeout_s):
        cdef double seconds = min(max(timeout_s, 0.0), WAIT_MAX_S)
        if self.is_waited_on:
            raise NativeError("another thread stands in Loop.wait", "FAILED_PRECONDITION")
        self.is_waited_on = True
        try:
            with nogil:
                dereference(self.handle).wait(nanoseconds(<int64_t>(seconds * 1e9)), &self.events)
            return [new_event(event) for event in self.events]
        finally:
            self.is_waited_on = False

    @property
    def stats(self):
        return dereference(self.handle).stats()

    def close(self):
        with nogil:
            dereference(self.handle).close()


# ---- Embedder ------------------------------------------------------------------------------------


@cython.final
cdef class Cancellation:
    cdef unique_ptr[CppCancellation] handle

    def __cinit__(self):
        self.handle.reset(new CppCancellation())

    def ask(self):
        dereference(self.handle).ask()

    @property
    def beats(self):
        return dereference(self.handle).beats


@cython.final
cdef class Embedder:
    cdef unique_ptr[CppEmbedder] handle

    def __cinit__(
        self,
        Model model not None,
        *,
        num_ctx=2048,
        num_batch=2048,
        num_thread=0,
        flash_attention=None,
        pooling=None,
    ):
        cdef EmbedderOptions options
        options.num_ctx = int32(num_ctx)
        options.num_batch = int32(num_batch)
        options.num_thread = int32(num_thread)
        options.flash_attention = choice(flash_attention)
        options.pooling = utf8(pooling or "", "pooling")
        with nogil:
            self.handle.reset(new CppEmbedder(model.handle, options))

    def __dealloc__(self):
        with nogil:
            self.handle.reset()

    @property
    def info(self):
        return <EmbedderInfo>dereference(self.handle).info()

    def embed(self, inputs, *, Cancellation cancellation=None):
        cdef vector[vector[int32_t]] ids
        cdef const CppCancellation* watched = NULL
        if cancellation is not None:
            watched = cancellation.handle.get()
        for tokens in inputs:
            ids.push_back(token_vector(tokens))
        vectors = np.empty((ids.size(), dereference(self.handle).info().width), dtype=np.float32)
        cdef float[:, ::1] view = vectors
        cdef float* data = &view[0, 0] if vectors.size else NULL
        with nogil:
            dereference(self.handle).embed(ids, data, watched)
        return vectors
