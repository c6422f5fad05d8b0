"""Texts of a wanted number of tokens, the same for the same seed."""

from __future__ import annotations

import random
from dataclasses import dataclass

from llamawire.cli.bench.exchange import BenchError, Client, Request

__all__ = ["WORDS", "Prompts", "calibrate"]

_TEXT = """
time year people way day man thing woman life child world school state family student
group country problem hand part place case week company system program question work
government number night point home water room mother area money story fact month lot
right study book eye job word business issue side kind head house service friend father
power hour game line end member law car city community name president team minute idea
kid body information back parent face others level office door health person art war
history party result change morning reason research girl guy moment air teacher force
education foot boy age policy music market sense nation plan college interest death
experience effect use class control field development role effort rate heart drug show
leader light voice wife police mind price report decision son view relationship town road
arm difference value building action season society tax director position player record
paper space ground form event official matter center couple site project activity star
table need court oil situation cost industry figure street image phone data picture
practice piece land product doctor wall patient worker news test movie north love support
technology step baby computer type attention film tree source
"""
WORDS = tuple(_TEXT.split())

_PROBE_WORDS = 100


@dataclass(frozen=True)
class Prompts:
    """Makes prompts for one target, whose tokenizer takes `tokens_per_word`."""

    tokens_per_word: float

    def text(self, tokens: int, *name: object) -> str:
        """Words of about so many tokens; another `name` gives other words from the first on."""
        draw = random.Random("/".join(map(str, name)))
        return " ".join(draw.choice(WORDS) for _ in range(max(1, self.words(tokens))))

    def words(self, tokens: int) -> int:
        return round(tokens / self.tokens_per_word)


async def calibrate(client: Client) -> Prompts:
    """Asks for one token, which loads the model, and reads how long the prompt was."""
    probe = Prompts(1.0).text(_PROBE_WORDS, "probe")
    exchange = await (await client.begin(Request(probe, num_predict=1))).result()
    if exchange.prompt_count <= 0:
        raise BenchError("the server does not tell how many tokens a prompt has")
    return Prompts(exchange.prompt_count / _PROBE_WORDS)
