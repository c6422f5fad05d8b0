"""The truncation contract: received = kept + dropped, and nothing is lost silently."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamawire.worker.limits import FittedPrompt, PromptTooLong, fit_prompt


def fitted(count: int, **changes: object) -> FittedPrompt:
    arguments: dict[str, object] = {
        "num_ctx": 32, "num_keep": 4, "adds_bos": False, "truncate": True, "shift": True,
    }  # fmt: skip
    return fit_prompt(np.arange(count, dtype=np.int32), **(arguments | changes))  # type: ignore[arg-type]


def test_a_prompt_that_fits_is_untouched() -> None:
    assert fitted(31).tokens.tolist() == list(range(31))


def test_a_long_prompt_keeps_its_front_and_its_newest_tokens() -> None:
    prompt = fitted(100)
    assert prompt.tokens.tolist() == [*range(4), *range(86, 100)]
    assert (prompt.received_count, prompt.dropped_count) == (100, 82)


def test_bos_is_kept_besides_num_keep() -> None:
    assert fitted(100, adds_bos=True).tokens.tolist()[:6] == [0, 1, 2, 3, 4, 86]


@pytest.mark.parametrize("changes", [{"truncate": False}, {"shift": False}])
def test_where_cutting_is_ruled_out_the_prompt_is_refused_with_both_numbers(
    changes: dict[str, object],
) -> None:
    with pytest.raises(PromptTooLong, match="32 tokens, which exceeds the available context") as e:
        fitted(32, **changes)
    assert e.value.metadata["received"] == "32"
    assert e.value.metadata["limit"] == "31"


@given(st.integers(0, 300), st.integers(4, 64), st.integers(-2, 80), st.booleans())
def test_received_is_kept_plus_dropped(
    count: int, num_ctx: int, num_keep: int, adds_bos: bool
) -> None:
    prompt = fitted(count, num_ctx=num_ctx, num_keep=num_keep, adds_bos=adds_bos)
    assert prompt.received_count == count == len(prompt.tokens) + prompt.dropped_count
    assert len(prompt.tokens) <= num_ctx - 1
    kept = prompt.tokens.tolist()
    assert kept == sorted(kept)  # a subsequence: order is never changed
    if count:
        assert prompt.dropped_count or kept[-1] == count - 1
