"""Forms that an answer must have, written as grammars in llama.cpp's GBNF.

    grammar = Form("json_schema", text).grammar()        # InvalidArgument: INVALID_FORMAT
    grammar = grammar.after_thinking("<think>", "</think>", is_open=False)
    grammar = grammar.in_frame(channel_frame(prompt, tools))

`form` is what a request asks for; `json_schema` and `regex` translate, `characters` is what both
stand on; `thinking` and `channels` let a model think first. Text in, text out: the worker compiles
the grammar, and has the last word on its size.
"""

from llamawire.engine.structure.channels import channel_frame
from llamawire.engine.structure.form import Form
from llamawire.engine.structure.grammar import Grammar

__all__ = ["Form", "Grammar", "channel_frame"]
