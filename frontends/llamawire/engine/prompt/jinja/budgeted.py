"""What a Jinja template has made so far, and what that cost.

A list can hold another list twice, and that one a third twice: it is small in memory, but printing
or comparing it goes over every path, and there are 2ⁿ. So each container is weighed when it is
made, as if it were written out, and one that is too heavy is refused. In this sandbox a container
never changes, so that its weight is found once, from those of its parts.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Final

from jinja2.runtime import Context

from llamawire.engine.prompt.errors import TemplateExecutionError
from llamawire.engine.prompt.limits import Budget, Limits

__all__ = ["BudgetedContext", "CountedItems", "Spending"]

ITEM_CHARS: Final = 8  # What an item of a container weighs besides its text.
CONTAINER_STEPS: Final = 4  # Containers are dear, for the sake of memory.


class Spending:
    """The budget of one rendering, and the weights of what it has made."""

    def __init__(self, limits: Limits, messages: int = 0) -> None:
        self.budget = Budget(limits, messages)
        self._weight_max = limits.text_chars_max
        # The containers themselves are kept, so that no other can get the id of one.
        self._weights: dict[int, tuple[object, int]] = {}

    def weight(self, value: object) -> int:
        """Characters of the value, written out."""
        if isinstance(value, str):
            return len(value)
        if isinstance(value, range):
            return len(value) * ITEM_CHARS
        if not isinstance(value, (list, tuple, Mapping)):
            return ITEM_CHARS
        known = self._weights.get(id(value))
        if known is None:
            known = value, self._weighed(value)
            self._weights[id(value)] = known
        return known[1]

    def read(self, *values: object) -> None:
        """Pays for going over the values once."""
        for value in values:
            self.budget.read(self.weight(value))

    def made(self, value: object) -> None:
        """Pays for a new value."""
        if isinstance(value, str):
            self.budget.make(len(value))
        else:
            self.weight(value)

    def _weighed(self, container: "Iterable[object] | Mapping[object, object]") -> int:
        parts = container
        if isinstance(container, Mapping):
            parts = chain(container.keys(), container.values())
        weight = 2
        count = 0
        for part in parts:
            count += 1
            weight += ITEM_CHARS + self.weight(part)
        self.budget.step(CONTAINER_STEPS + count // ITEM_CHARS)
        if weight > self._weight_max:
            raise TemplateExecutionError(
                f"template: a value is larger than text_chars_max ({self._weight_max})"
            )
        return weight


class BudgetedContext(Context):
    """The variables of one rendering; templates cannot reach its `spending`."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        limits = getattr(self.environment, "limits", None)
        assert isinstance(limits, Limits)
        messages = self.parent.get("messages")
        self.spending = Spending(limits, len(messages) if isinstance(messages, list) else 0)


class CountedItems:
    """What a loop goes over, paying for each round."""

    def __init__(self, items: Iterable[object], spending: Spending, steps: int, chars: int) -> None:
        self._items = items
        self._spending = spending
        self._steps = steps
        self._chars = chars

    def __iter__(self) -> Iterator[object]:
        for item in self._items:
            self._spending.budget.step(self._steps)
            self._spending.budget.make(self._chars)
            yield item

    def __len__(self) -> int:
        return len(self._items)  # type: ignore[arg-type]  # TypeError tells Jinja to count.
