"""Finds tags in a text that comes in pieces."""

import re
from typing import Final

__all__ = ["Tags"]


class Tags:
    """A set of tags that are looked for together; none of them begins with another."""

    def __init__(self, *tags: str) -> None:
        assert all(tags)
        assert not any(a != b and a.startswith(b) for a in tags for b in tags)
        self.tags: Final = tags
        self._pattern: Final = re.compile("|".join(map(re.escape, tags)))
        self._chars_max: Final = max(map(len, tags))

    def find(self, text: str, start: int, *, is_whole: bool) -> tuple[int, str]:
        """Where the first tag is, and which.

        No tag: as far as the text can be let go, and "". While more text may come (it is not
        whole) an end that a tag could begin with must stay. What could begin first counts first,
        so that it does not matter where a text is cut.
        """
        match = self._pattern.search(text, start)
        found = (match.start(), match[0]) if match else (len(text), "")
        if is_whole or found[0] + self._chars_max <= len(text):
            return found
        partial = self._partial(text, start)
        return (partial, "") if partial < found[0] else found

    def _partial(self, text: str, start: int) -> int:
        """Where the longest end of the text begins that a tag could begin with."""
        for index in range(max(start, len(text) - self._chars_max + 1), len(text)):
            end = text[index:]
            if any(tag.startswith(end) for tag in self.tags):
                return index
        return len(text)
