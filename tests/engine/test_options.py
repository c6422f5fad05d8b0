"""Precedence, types and ranges of the options."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamawire.engine.errors import InvalidArgument
from llamawire.engine.job import Job, Journal
from llamawire.engine.options import TYPES, Options, resolve
from llamawire.engine.session import job_message


def resolved(
    parameters: dict[str, object] | None = None,
    context: int = 4096,
    train: int = 0,
    **request: object,
) -> Options:
    return resolve(parameters or {}, request, context_length=context, num_ctx_train=train)


def test_defaults_are_those_of_the_contract() -> None:
    options = resolved(seed=1)
    assert (options.temperature, options.top_k, options.top_p, options.min_p) == (0.8, 40, 0.9, 0.0)
    assert (options.repeat_last_n, options.repeat_penalty, options.num_predict) == (64, 1.0, -1)
    assert (options.num_keep, options.num_batch, options.num_ctx) == (4, 512, 4096)


@pytest.mark.parametrize(
    ("server", "request_", "wanted"),
    [(False, {}, False), (True, {}, True), (True, {"reproducible": False}, False),
     (False, {"reproducible": True}, True)],
)  # fmt: skip
def test_a_request_says_otherwise_than_the_server_whether_it_is_reproducible(
    server: bool, request_: dict[str, object], wanted: bool
) -> None:
    options = resolve({}, request_, context_length=64, num_ctx_train=0, reproducible=server)
    assert options.reproducible is wanted
    message = job_message(1, Job("p", options, isolated=options.reproducible), Journal())
    assert message.options.isolated is wanted


def test_request_wins_over_model_and_model_over_default() -> None:
    parameters: dict[str, object] = {"top_k": 7, "top_p": 0.5, "stop": ["A"]}
    options = resolved(parameters, top_k=9, stop=["B"])
    assert (options.top_k, options.top_p, options.stop) == (9, 0.5, ("B",))


def test_unset_seed_becomes_a_number_that_can_be_told() -> None:
    seeds = {resolved().seed for _ in range(20)}
    assert len(seeds) > 15
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_whole_number_options_cut_a_fraction_off() -> None:
    assert resolved(top_k=2.9, num_predict=-1.9).top_k == 2


def test_unknown_names_and_nulls_are_skipped() -> None:
    assert resolved(mirostat=2, top_k=None).top_k == 40


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("temperature", "hot", 'option "temperature" must be of type float32'),
        ("top_k", "x", 'option "top_k" must be of type integer'),
        ("top_k", True, 'option "top_k" must be of type integer'),
        ("use_mmap", 1, 'option "use_mmap" must be of type boolean'),
        ("stop", "x", 'option "stop" must be of type array'),
        ("stop", [1], 'option "stop" must be of an array of strings'),
        ("num_batch", 0, 'option "num_batch" must be 1 or more'),
        ("repeat_penalty", 0, 'option "repeat_penalty" must be more than 0'),
        ("num_ctx", 1 << 30, 'option "num_ctx" must be 0 to 16777216'),
        ("seed", 1 << 63, 'option "seed" must be less than 2^63'),
        ("num_predict", 1 << 40, 'option "num_predict" must be a 32-bit integer'),
        ("stop", ["x" * 1025], 'option "stop" must be texts of at most 1024 bytes'),
    ],
)
def test_wrong_values_name_the_option_and_what_it_must_be(
    name: str, value: object, text: str
) -> None:
    with pytest.raises(InvalidArgument) as error:
        resolved(**{name: value})
    assert str(error.value) == text
    assert error.value.metadata["option"] == name


def test_a_wrong_parameter_of_the_model_is_told_the_same_way() -> None:
    with pytest.raises(InvalidArgument, match='option "top_p" must be of type float32'):
        resolved({"top_p": "x"})


@pytest.mark.parametrize(
    ("wanted", "context", "train", "num_ctx"),
    [(0, 4096, 0, 4096), (0, 4096, 2048, 2048), (99999, 4096, 8192, 8192), (1, 4096, 0, 4)],
)
def test_num_ctx_is_given_or_default_and_capped_by_training(
    wanted: int, context: int, train: int, num_ctx: int
) -> None:
    assert resolved(context=context, train=train, num_ctx=wanted).num_ctx == num_ctx


@pytest.mark.parametrize(
    ("given", "num_batch"),
    [({}, 2048), ({"num_ctx": 300}, 300), ({"num_batch": 7}, 7), ({"num_ctx": 9000}, 2048)],
)
def test_a_model_that_embeds_has_room_for_a_whole_input(
    given: dict[str, object], num_batch: int
) -> None:
    options = resolve({}, given, context_length=4096, num_ctx_train=0, embeds=True)
    assert options.num_batch == num_batch


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)


@given(
    st.dictionaries(
        st.sampled_from([*TYPES, "unknown"]), scalars | st.lists(scalars, max_size=3), max_size=5
    )
)
def test_any_value_resolves_or_is_refused_by_name(request: dict[str, object]) -> None:
    try:
        options = resolve({}, request, context_length=4096, num_ctx_train=0)
    except InvalidArgument as error:
        assert error.metadata["option"] in str(error)  # noqa: PT017
    else:
        assert options.seed >= 0
        assert options.num_ctx >= 4
