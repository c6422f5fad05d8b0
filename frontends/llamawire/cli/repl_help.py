"""What `/?` says."""

from __future__ import annotations

__all__ = ["help_text"]

_COMMANDS = """\
Available Commands:
  /set            Set what goes with your messages
  /show           Show the model
  /load <model>   Talk to another model
  /save <model>   Save this talk as a model
  /list [prefix]  List models
  /clear          Forget what was said
  /bye            Leave
  /?, /help       This; '/? set', '/? show' and '/? shortcuts' say more

Use \"\"\" to begin and to end a message of several lines.
"""
_SET = """\
Available Commands:
  /set parameter ...     Set a parameter
  /set system <text>     Set the system message
  /set format json       Ask for JSON
  /set noformat          Ask for text
  /set think [level]     Let the model think: high, medium, low or max
  /set nothink           Do not let it
  /set wordwrap          Break lines between words
  /set nowordwrap        Do not break lines
  /set verbose           Show counts and times
  /set quiet             Do not show them
  /set history           Keep what you type
  /set nohistory         Do not keep it
"""
_SHOW = """\
Available Commands:
  /show info         Show what is known of the model
  /show license      Show its licence
  /show modelfile    Show its Modelfile
  /show parameters   Show its parameters and yours
  /show system       Show the system message
  /show template     Show the prompt's template
"""
_SHORTCUTS = """\
Available keyboard shortcuts:
  Ctrl + a / e     Go to the start / end of the line
  Alt + b / f      Go back / on by a word
  Ctrl + k / u     Delete to the end / start of the line
  Ctrl + w         Delete the word before the cursor
  Ctrl + j         Begin a new line in the message
  Ctrl + g         Write the message in your editor
  Ctrl + l         Clear the screen
  Ctrl + c         Stop the answer
  Ctrl + d         Leave
"""
_PARAMETER = """\
Available Parameters:
  /set parameter seed <int>               Seed of the random draws
  /set parameter num_predict <int>        Most tokens to answer with
  /set parameter top_k <int>              Keep so many of the best tokens
  /set parameter top_p <float>            Keep the best tokens with this sum of probabilities
  /set parameter min_p <float>            Keep tokens with this share of the best one's
  /set parameter num_ctx <int>            Tokens of the context
  /set parameter temperature <float>      How much is left to chance
  /set parameter repeat_penalty <float>   How much repetition is held back
  /set parameter repeat_last_n <int>      How far back repetition is looked for
  /set parameter num_gpu <int>            Layers on the GPU
  /set parameter stop <text> <text> ...   Texts that end an answer
"""
_TOPICS = {"set": _SET, "show": _SHOW, "shortcuts": _SHORTCUTS, "parameter": _PARAMETER}


def help_text(topic: str = "") -> str:
    """The help on a topic, or the list of commands."""
    return _TOPICS.get(topic, _COMMANDS)
