"""Loop: jobs, limits, cancel, pause, fairness, errors."""

from __future__ import annotations

import itertools
import os
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from gguf import GGUFReader

from gguf_files import echo_automaton, tiny_llama
from llamawire import native

from .conftest import Client

Make = Callable[..., Client]
PROMPT = [1, 300, 301, 302, 303]


def letters(model: Any, text: str) -> list[int]:
    """The ids of single characters, without BOS and leading blank."""
    return [int(i) for i in model.tokenize(text, add_special=False, parse_special=False)][1:]


def test_a_greedy_job_streams_a_token_an_event(model: Any, make_client: Make) -> None:
    job = make_client(model).run(PROMPT, num_predict=20)
    assert len(job.tokens) == len(job.pieces) == 20
    assert job.reason == "length"
    assert (job.last.prompt_count, job.last.generated_count, job.last.shift_count) == (5, 20, 0)
    assert job.last.prompt_ns > 0
    assert job.last.generate_ns > 0


def test_an_end_of_generation_token_ends_the_job(echo: Any, make_client: Make) -> None:
    job = make_client(echo).run([1, *letters(echo, "xy")])
    assert job.text == b"z{|}~"
    assert job.reason == "stop"
    assert job.tokens[-1] == echo.info["eos_token"]
    assert job.last.generated_count == len(job.tokens)


@pytest.mark.parametrize(
    ("stop", "text"),
    [
        (["f"], b"bcde"),
        (["fgh"], b"bcde"),
        (["fgx", "hi"], b"bcdefg"),
        (["z{", "de"], b"bc"),
        (["b"], b""),
        (["nope", ""], b"bcdefghijklmnopqrstuvwxyz{|}~"),
    ],
)
def test_the_text_ends_before_a_stop_string(
    echo: Any, make_client: Make, stop: list[str], text: bytes
) -> None:
    job = make_client(echo).run([1, *letters(echo, "a")], stop=stop)
    assert (job.text, job.reason) == (text, "stop")
    assert not any(s and s.encode() in job.text for s in stop)


def test_held_back_text_comes_with_the_next_token_and_at_the_limit(
    echo: Any, make_client: Make
) -> None:
    client = make_client(echo)
    held = client.run([1, *letters(echo, "a")], stop=["cdX"], num_predict=5)
    assert held.pieces == [b"b", b"", b"", b"cde", b"f"]
    flushed = client.run([1, *letters(echo, "a")], stop=["cdX"], num_predict=3)
    assert (flushed.pieces, flushed.reason) == ([b"b", b"", b"cd"], "length")


def test_characters_come_whole_and_half_of_one_is_replaced(folder: Any, make_client: Make) -> None:
    # After "a" come the bytes of 你 and then those of half a 好, for ever.
    chain = [
        260 + 32,
        *(3 + byte for byte in "你".encode()),
        *(3 + byte for byte in "好".encode()[:2]),
    ]
    successors = list(range(354))
    for here, there in itertools.pairwise(chain):
        successors[here] = there
    model = native.Model(str(echo_automaton(folder / "bytes.gguf", successors=successors)))
    job = make_client(model).run([chain[0]], num_predict=5)
    assert job.pieces == [b"", b"", "你".encode(), b"", "\N{REPLACEMENT CHARACTER}".encode()]


def test_num_ctx_is_exact_without_shift(model: Any, make_client: Make) -> None:
    client = make_client(model)
    for num_ctx in (256, 300, 6, 512):
        job = client.run(PROMPT, num_ctx=num_ctx, shift=False)
        assert job.reason == "context"
        assert len(PROMPT) + len(job.tokens) == num_ctx


def test_with_shift_generation_goes_on_beyond_num_ctx(model: Any, make_client: Make) -> None:
    client = make_client(model)
    job = client.run(PROMPT, num_ctx=64)
    assert job.reason == "length"
    assert len(job.tokens) == 640
    assert job.last.shift_count == client.loop.stats["shifts"] > 10


def test_num_predict_zero_means_no_limit_of_its_own(model: Any, make_client: Make) -> None:
    job = make_client(model).run(PROMPT, num_ctx=32, num_predict=0, shift=False)
    assert (len(job.tokens), job.reason) == (27, "context")


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"num_ctx": 3}, "num_ctx"),
        ({"num_ctx": 513}, "num_ctx"),
        ({"num_ctx": 2**40}, "num_ctx"),
        ({"num_batch": -1}, "num_batch"),
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": 1e300}, "temperature"),
        ({"repeat_penalty": 0.0}, "repeat_penalty"),
        ({"repeat_last_n": -2}, "repeat_last_n"),
        ({"priority": 11}, "priority"),
        ({"user": "x" * 257}, "user"),
        ({"stop": ["x"] * 100}, "stop"),
        ({"stop": ["\ud800"]}, "stop"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [1] * 512}, "512 tokens"),
        ({"prompt": [354]}, "354"),
        ({"prompt": [-1]}, "-1"),
        ({"prompt": [2**35]}, "vocabulary"),
        ({"prompt": ["a"]}, "integers"),
        ({"generated": [354]}, "354"),
    ],
    ids=str,
)
def test_an_invalid_option_is_refused_by_name(
    model: Any, make_client: Make, options: dict[str, Any], name: str
) -> None:
    client = make_client(model)
    with pytest.raises(native.NativeError, match=name) as caught:
        client.loop.submit(1, **{"prompt": PROMPT, **options})
    assert caught.value.code == "INVALID_ARGUMENT"
    assert client.run(PROMPT, num_predict=2).reason == "length"


@pytest.mark.parametrize(
    "options",
    [
        {"num_parallel": 0},
        {"num_parallel": 257},
        {"num_ctx": 1},
        {"num_batch": 0},
        {"kv_cache_type": "x"},
    ],
    ids=str,
)
def test_a_loop_refuses_invalid_options(model: Any, options: dict[str, Any]) -> None:
    with pytest.raises(native.NativeError, match=next(iter(options))) as caught:
        native.Loop(model, **options)
    assert caught.value.code == "INVALID_ARGUMENT"


@pytest.mark.parametrize("num_thread", [0, 1])
def test_the_threads_of_either_kind_of_call_are_told(model: Any, num_thread: int) -> None:
    info = native.Loop(model, num_thread=num_thread).info
    found = {info["num_thread"], info["num_thread_prefill"]}
    assert found == {1} if num_thread else found <= set(range(1, len(os.sched_getaffinity(0)) + 1))


def test_a_cache_larger_than_memory_is_refused(model: Any) -> None:
    with pytest.raises(native.NativeError) as caught:
        native.Loop(model, num_parallel=64, num_ctx=1 << 24)
    assert caught.value.code == "RESOURCE_EXHAUSTED"


def test_a_prompt_may_be_an_array_and_fill_all_but_one_token(model: Any, make_client: Make) -> None:
    prompt = np.arange(511, dtype=np.int32) % 350
    job = make_client(model).run(prompt, shift=False)
    assert (len(job.tokens), job.reason) == (1, "context")


@pytest.mark.parametrize("kind", ["f32", "f16", "bf16", "q8_0", "q4_0"])
def test_every_kind_of_cache_generates(folder: Any, make_client: Make, kind: str) -> None:
    model = native.Model(str(tiny_llama(folder / "wide.gguf", embedding=128, heads=4)))
    job = make_client(model, kv_cache_type=kind).run(PROMPT, num_predict=10)
    assert len(job.tokens) == 10


@pytest.mark.parametrize("flash_attention", [None, True, False])
@pytest.mark.parametrize("kv_unified", [True, False])
def test_every_layout_generates_the_same(
    model: Any, make_client: Make, flash_attention: bool | None, kv_unified: bool
) -> None:
    reference = make_client(model).run(PROMPT, num_predict=30).tokens
    client = make_client(model, flash_attention=flash_attention, kv_unified=kv_unified)
    assert client.run(PROMPT, num_predict=30).tokens == reference
    jobs = client.finish(*(client.submit(PROMPT, num_predict=30) for _ in range(4)))
    assert [job.tokens for job in jobs] == [reference] * 4


# ---- company -------------------------------------------------------------------------------------


def test_greedy_text_is_the_same_alone_and_among_seven_others(
    model: Any, make_client: Make
) -> None:
    prompts = [[1, *range(100 + 20 * n, 107 + 23 * n)] for n in range(8)]
    alone = [make_client(model).run(prompt, num_predict=40).tokens for prompt in prompts]
    client = make_client(model, num_parallel=8)
    for _ in range(3):
        jobs = client.finish(*(client.submit(prompt, num_predict=40) for prompt in prompts))
        assert [job.tokens for job in jobs] == alone


def test_more_jobs_than_streams_all_end(model: Any, make_client: Make) -> None:
    client = make_client(model, num_parallel=3)
    jobs = client.finish(*(client.submit([1, 100 + n], num_predict=10 + n) for n in range(20)))
    assert [len(job.tokens) for job in jobs] == [10 + n for n in range(20)]
    stats = client.loop.stats
    assert (stats["active"], stats["queued"]) == (0, 0)


def test_num_batch_two_serves_eight_streams(model: Any, make_client: Make) -> None:
    client = make_client(model, num_parallel=8, num_batch=2)
    reference = make_client(model).run(PROMPT, num_predict=20).tokens
    jobs = client.finish(*(client.submit(PROMPT, num_predict=20) for _ in range(8)))
    assert [job.tokens for job in jobs] == [reference] * 8


def test_a_job_may_ask_for_a_smaller_num_batch(model: Any, make_client: Make) -> None:
    client = make_client(model)
    prompt = [1 + n % 300 for n in range(200)]
    texts = {
        tuple(client.run(prompt, num_predict=10, num_batch=n).tokens) for n in (1, 2, 63, 64, 512)
    }
    assert len(texts) == 1


def test_rows_that_leave_and_join_do_not_change_the_others(model: Any, make_client: Make) -> None:
    draw = random.Random(5)
    prompts = [
        [1, *(draw.randrange(3, 350) for _ in range(draw.randrange(1, 90)))] for _ in range(40)
    ]
    lengths = [draw.randrange(1, 60) for _ in prompts]
    alone = make_client(model, num_parallel=1)
    expected = [alone.run(p, num_predict=n).tokens for p, n in zip(prompts, lengths, strict=True)]
    client = make_client(model, num_parallel=6)
    ids = [client.submit(p, num_predict=n) for p, n in zip(prompts, lengths, strict=True)]
    assert [job.tokens for job in client.finish(*ids)] == expected
    assert client.loop.stats["ghost_rows"] > 0


def test_a_short_prompt_does_not_wait_for_a_long_one(slow: Any, make_client: Make) -> None:
    client = make_client(slow, num_parallel=3, num_ctx=8192, prefill_budget_ms=20)
    decoding = client.submit(PROMPT, num_predict=100000)
    client.until(lambda: len(client.jobs[decoding].tokens) > 3)
    long = client.submit([1, *(5 + n % 300 for n in range(6000))], num_predict=1)
    client.until(lambda: client.jobs[long].started)
    short = client.submit(PROMPT, num_predict=2, cache_prompt=False)
    client.finish(short)
    assert client.jobs[long].last is None
    assert client.loop.stats["prefill_tokens"] < 3000


def test_rows_decode_on_while_a_long_prompt_is_read(slow: Any, make_client: Make) -> None:
    client = make_client(slow, num_parallel=2, num_ctx=8192, prefill_budget_ms=20)
    decoding = client.submit(PROMPT, num_predict=100000)
    client.until(lambda: len(client.jobs[decoding].tokens) > 3)
    before = len(client.jobs[decoding].tokens)
    long = client.submit([1, *(5 + n % 300 for n in range(3000))], num_predict=1)
    client.finish(long)
    assert len(client.jobs[decoding].tokens) - before > 10


# ---- cancel, pause, close ------------------------------------------------------------------------


def test_a_queued_job_is_cancelled(model: Any, make_client: Make) -> None:
    client = make_client(model, num_parallel=1)
    running = client.submit(PROMPT, num_predict=5000)
    queued = client.submit(PROMPT)
    client.loop.cancel(queued)
    job = client.finish(queued)[0]
    assert (job.reason, job.started, job.tokens) == ("cancelled", False, [])
    client.loop.cancel(running)
    assert client.finish(running)[0].reason == "cancelled"


def test_a_prefill_is_cancelled_within_a_blink(slow: Any, make_client: Make) -> None:
    client = make_client(slow, num_parallel=1, num_ctx=16384, num_batch=16384)
    prompt = [1, *(5 + n % 300 for n in range(15000))]
    job_id = client.submit(prompt)
    client.until(lambda: client.jobs[job_id].started)
    begin = time.monotonic()
    client.loop.cancel(job_id)
    assert client.finish(job_id)[0].reason == "cancelled"
    assert time.monotonic() - begin < 0.5
    assert client.run(PROMPT, num_predict=3).reason == "length"


def test_a_row_is_cancelled_in_decode(model: Any, make_client: Make) -> None:
    client = make_client(model)
    job_id = client.submit(PROMPT, num_predict=100000)
    client.until(lambda: len(client.jobs[job_id].tokens) > 5)
    client.loop.cancel(job_id)
    job = client.finish(job_id)[0]
    assert job.reason == "cancelled"
    assert job.last.generated_count == len(job.tokens)


def test_a_paused_row_is_cancelled(model: Any, make_client: Make) -> None:
    client = make_client(model)
    job_id = client.submit(PROMPT, num_predict=100000)
    client.loop.pause(job_id)
    client.loop.cancel(job_id)
    assert client.finish(job_id)[0].reason == "cancelled"


def test_unknown_and_ended_ids_are_ignored(model: Any, make_client: Make) -> None:
    client = make_client(model)
    job_id = client.submit(PROMPT, num_predict=1)
    client.finish(job_id)
    for stranger in (job_id, 999):
        client.loop.cancel(stranger)
        client.loop.pause(stranger)
        client.loop.resume(stranger)
    assert client.run(PROMPT, num_predict=1).reason == "length"


def test_an_id_in_use_is_refused(model: Any, make_client: Make) -> None:
    client = make_client(model)
    client.submit(PROMPT, num_predict=100000)
    with pytest.raises(native.NativeError) as caught:
        client.loop.submit(1, PROMPT)
    assert caught.value.code == "ALREADY_EXISTS"


def test_a_paused_row_stands_still_and_goes_on_where_it_stood(
    model: Any, make_client: Make
) -> None:
    client = make_client(model)
    reference = client.run(PROMPT, num_predict=200).tokens
    paused = client.submit(PROMPT, num_predict=200)
    client.loop.pause(paused)
    others = [client.submit([1, 200 + n], num_predict=100) for n in range(3)]
    client.finish(*others)
    client.pump(0.05)
    stood = len(client.jobs[paused].tokens)
    assert stood < 200
    client.pump(0.05)
    assert len(client.jobs[paused].tokens) == stood
    client.loop.resume(paused)
    assert client.finish(paused)[0].tokens == reference


def test_two_hundred_jobs_with_random_cancels_leave_nothing_behind(
    model: Any, make_client: Make
) -> None:
    draw = random.Random(11)
    client = make_client(model, num_parallel=8, num_batch=32)
    ids = []
    for n in range(200):
        prompt = [1, *(draw.randrange(3, 350) for _ in range(draw.randrange(0, 200)))]
        ids.append(
            client.submit(prompt, num_predict=draw.randrange(1, 50), temperature=0.8, seed=n)
        )
        action = draw.choice([client.loop.cancel, client.loop.pause, client.loop.resume, None])
        if action is not None:
            action(draw.choice(ids))
        if n % 10 == 0:
            client.pump(0.001)
    for job_id in ids:
        client.loop.resume(job_id)
    reasons = {job.reason for job in client.finish(*ids)}
    assert reasons <= {"length", "stop", "cancelled", "context"}
    stats = client.loop.stats
    assert (stats["active"], stats["queued"], stats["lost_caches"]) == (0, 0, 0)


def test_a_full_queue_refuses(model: Any, make_client: Make) -> None:
    client = make_client(model, num_parallel=1, queue_max=2)
    running = client.submit(PROMPT, num_predict=100000)
    client.until(lambda: client.jobs[running].started)
    client.submit(PROMPT)
    client.submit(PROMPT)
    with pytest.raises(native.NativeError, match="full") as caught:
        client.submit(PROMPT)
    assert caught.value.code == "RESOURCE_EXHAUSTED"


def test_a_closed_loop_ends_its_jobs_and_refuses_new_ones(slow: Any, make_client: Make) -> None:
    client = make_client(slow, num_parallel=1, num_ctx=16384)
    running = client.submit([1, *(5 + n % 300 for n in range(15000))])
    queued = client.submit(PROMPT)
    client.until(lambda: client.jobs[running].started)
    begin = time.monotonic()
    client.loop.close()
    assert time.monotonic() - begin < 0.5
    client.loop.close()
    client.pump(0)
    assert [client.jobs[i].reason for i in (running, queued)] == ["cancelled"] * 2
    assert client.loop.wait(10) == []
    with pytest.raises(native.NativeError) as caught:
        client.submit(PROMPT)
    assert caught.value.code == "FAILED_PRECONDITION"


def test_waiting_ends_when_the_loop_is_closed(
    model: Any, make_client: Make, waiter: Callable[[Callable[[], Any]], threading.Thread]
) -> None:
    loop = make_client(model).loop
    thread = waiter(lambda: loop.wait(60))
    while thread.is_alive():
        loop.close()
        thread.join(0.05)


def test_a_second_thread_that_waits_is_refused(
    model: Any, make_client: Make, waiter: Callable[[Callable[[], Any]], threading.Thread]
) -> None:
    loop = make_client(model).loop
    inside = threading.Event()
    waiter(lambda: (inside.set(), loop.wait(1)))
    inside.wait()

    def wait_too() -> None:
        while True:
            loop.wait(0.001)

    with pytest.raises(native.NativeError, match="another thread"):
        wait_too()


def test_an_idle_loop_keeps_its_heart_beating(model: Any, make_client: Make) -> None:
    loop = make_client(model).loop
    first = loop.stats["beats"]
    end = time.monotonic() + 5
    while loop.stats["beats"] == first:
        assert time.monotonic() < end
        loop.wait(0.1)


def test_a_loop_keeps_its_model_alive(folder: Any) -> None:
    model = native.Model(str(tiny_llama(folder / "short_lived.gguf")))
    client = Client(native.Loop(model))
    del model
    assert client.run(PROMPT, num_predict=3).reason == "length"


# ---- failures ------------------------------------------------------------------------------------


def test_a_row_whose_logits_are_not_finite_fails_alone(folder: Any, make_client: Make) -> None:
    """Token 300's embedding is NaN: the prompt that holds it fails, the others do not notice."""
    path = tiny_llama(folder / "nan.gguf", seed=1, scale=4.0)
    data = bytearray(path.read_bytes())
    healthy = native.Model(str(path))
    prompt = [1, 100, 101]
    reference = make_client(healthy).run(prompt, num_predict=30)
    # token_embd.weight is the first tensor, behind the aligned header.
    tensors = 354 * 64 * 4
    begin = len(data) - sum_of_tensors(path)
    assert begin > 0
    row = begin + 300 * 64 * 4
    assert row < begin + tensors
    data[row : row + 256] = np.full(64, np.nan, "float32").tobytes()
    path.write_bytes(data)
    client = make_client(native.Model(str(path)))
    good = client.submit(prompt, num_predict=30)
    bad = client.submit([1, 300, 101], num_predict=30)
    good_job, bad_job = client.finish(good, bad)
    assert bad_job.last.kind == native.EVENT_FAILED
    assert bad_job.last.code == "INTERNAL"
    assert "finite" in bad_job.last.message
    if 300 not in reference.tokens:
        assert good_job.tokens == reference.tokens
    assert client.run(prompt, num_predict=5).tokens == reference.tokens[:5]


def sum_of_tensors(path: Any) -> int:
    reader = GGUFReader(path)
    return sum(-(-tensor.n_bytes // 32) * 32 for tensor in reader.tensors)


def test_a_model_that_looks_ahead_does_not_generate(tmp_path: Any) -> None:
    path = tiny_llama(tmp_path / "both_ways.gguf", metadata={"llama.attention.causal": False})
    with pytest.raises(native.NativeError, match="cannot generate") as caught:
        native.Loop(native.Model(str(path)))
    assert caught.value.code == "INVALID_ARGUMENT"


def test_a_model_without_a_vocabulary_does_not_generate(tmp_path: Any) -> None:
    names = ("tokens", "scores", "token_type", "bos_token_id", "eos_token_id", "unknown_token_id")
    metadata: dict[str, Any] = {f"tokenizer.ggml.{name}": None for name in names}
    metadata |= {"tokenizer.ggml.model": "none", "llama.vocab_size": 354}
    model = native.Model(str(tiny_llama(tmp_path / "none.gguf", metadata=metadata)))
    with pytest.raises(native.NativeError, match="no vocabulary"):
        model.tokenize("a", add_special=True, parse_special=True)
    with pytest.raises(native.NativeError, match="no vocabulary") as caught:
        native.Loop(model)
    assert caught.value.code == "INVALID_ARGUMENT"


def test_priority_and_user_decide_who_is_next(model: Any, make_client: Make) -> None:
    client = make_client(model, num_parallel=1)
    running = client.submit(PROMPT, num_predict=400, user="many")
    client.until(lambda: client.jobs[running].started)
    many = [client.submit(PROMPT, num_predict=2, user="many") for _ in range(3)]
    one = client.submit(PROMPT, num_predict=2, user="one")
    urgent = client.submit(PROMPT, num_predict=2, user="many", priority=5)
    client.finish(running, *many, one, urgent)
    order = client.ended
    assert order.index(urgent) < order.index(one) < min(map(order.index, many))
