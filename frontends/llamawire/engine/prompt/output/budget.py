"""How long a model may think.

idle ──thinks──▶ counting ──too long──▶ forced
                    └──answers──▶ done
"""

__all__ = ["ThinkingBudget"]


class ThinkingBudget:
    """Counts the tokens of the thinking. Ask it after every step of decoding:

        parser.feed(text)
        if ending := budget.spend(token_count, is_thinking=parser.is_thinking):
            ...  # make the model say `ending` next; then it is text like any other

    Whoever forces the ending must do so between whole characters.
    """

    __slots__ = ("_ending", "_has_thought", "_is_over", "_tokens_left")

    def __init__(self, tokens_max: int, ending: str) -> None:
        """`ending` is the format's `thinking_end`; a budget of 0 ends the thinking at once."""
        assert tokens_max >= 0
        self._tokens_left = tokens_max
        self._ending = ending
        self._has_thought = False
        self._is_over = False

    @property
    def tokens_left(self) -> int:
        """Tokens of thinking that may still come."""
        return self._tokens_left

    def spend(self, tokens: int, *, is_thinking: bool) -> str:
        """Counts the tokens of a step, after which the model was thinking or not.

        Gives back the text that the model has to say next: once, when the budget is used up.
        """
        if self._is_over:
            return ""
        if not is_thinking:
            self._is_over = self._has_thought
            return ""
        self._has_thought = True
        self._tokens_left = max(0, self._tokens_left - tokens)
        self._is_over = self._tokens_left == 0
        return self._ending if self._is_over else ""
