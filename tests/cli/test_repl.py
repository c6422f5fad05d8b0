"""A talk: typed through prompt_toolkit's own pipe, answered by a fake server."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

from cli.conftest import interrupt_after
from cli.fake_server import FakeServer, hello, model, status
from llamawire.cli.answer import Style
from llamawire.cli.client import Client
from llamawire.cli.connection import Connection
from llamawire.cli.conversation import Conversation, Settings
from llamawire.cli.history import HistoryFile
from llamawire.cli.multiline import Entry, Multiline
from llamawire.cli.prompt import Prompt
from llamawire.cli.repl import Repl
from llamawire.cli.terminal import Terminal
from llamawire.v1 import model_pb2
from llamawire.v1 import model_service_pb2 as pb
from llamawire.v1.generation_pb2 import GenerateRequest

ENTER, CTRL_C, CTRL_D, CTRL_J = "\r", "\x03", "\x04", "\x0a"


@dataclass
class Talk:
    """Types whole talks and tells what was printed."""

    server: FakeServer
    client: Client
    pipe: PipeInput
    history: Path
    out: io.StringIO = field(default_factory=io.StringIO)

    def __call__(self, *lines: str, end: str = "/bye" + ENTER) -> str:
        err = io.StringIO()
        conversation = Conversation(self.client, "tiny", Settings())
        prompt = Prompt(HistoryFile(self.history), input=self.pipe, output=DummyOutput())
        terminal = Terminal(io.StringIO(), self.out, err, {})
        self.pipe.send_text("".join(line + ENTER for line in lines) + end)
        Repl(conversation, self.client, terminal, Style(), prompt).run()
        return self.out.getvalue() + err.getvalue()

    @property
    def asked(self) -> list[GenerateRequest]:
        return [item for item in self.server.requests if isinstance(item, GenerateRequest)]


@pytest.fixture
def talk(server: FakeServer, tmp_path: Path) -> Iterator[Talk]:
    with (
        create_pipe_input() as pipe,
        closing(Client(Connection(os.environ["LLAMAWIRE_GRPC"]))) as client,
    ):
        yield Talk(server, client, pipe, tmp_path / "history")


def test_the_model_is_loaded_and_answers_with_what_was_said_before(talk: Talk) -> None:
    assert talk("hi", "and now?") == "Hello!\n\n" * 2
    assert talk.server.names() == ["Load", "Generate", "Generate"]
    first, second = talk.asked
    assert (first.prompt, list(first.context.ids)) == ("hi", [])
    assert (second.prompt, list(second.context.ids)) == ("and now?", [4, 5, 6])


def test_clear_forgets(talk: Talk) -> None:
    assert "Cleared session context\n" in talk("hi", "/clear", "hi")
    assert not talk.asked[1].context.ids


def test_several_lines_in_quotes_are_one_message(talk: Talk) -> None:
    talk('"""Hello,', "world!", '"""', '"""/bye"""')
    assert [request.prompt for request in talk.asked] == ["Hello,\nworld!\n", "/bye"]


def test_ctrl_j_and_pastes_make_lines(talk: Talk) -> None:
    talk(f"a{CTRL_J}b", "\x1b[200~c\nd\x1b[201~")
    assert [request.prompt for request in talk.asked] == ["a\nb", "c\nd"]


def test_ctrl_c_at_the_prompt_says_how_to_leave(talk: Talk) -> None:
    text = talk(end=f"x{CTRL_C}{CTRL_D}")
    assert text == "\nUse Ctrl + d or /bye to exit.\n\n"
    assert talk.asked == []


def test_ctrl_c_drops_an_open_message(talk: Talk) -> None:
    talk('"""a', end=f"{CTRL_C}hi{ENTER}/exit{ENTER}")
    assert [request.prompt for request in talk.asked] == ["hi"]


def test_ctrl_c_ends_the_answer_and_not_the_talk(talk: Talk) -> None:
    server = talk.server
    server.may_finish.clear()

    pressing = interrupt_after(talk.out, "Hello!")
    threading.Thread(target=finish_after_cancel, args=(server,)).start()
    text = talk("hi", "again")
    pressing.join()
    assert server.was_cancelled.is_set()
    assert text == "Hello!\n\nHello!\n\n"
    assert not talk.asked[1].context.ids  # the interrupted turn is forgotten


def finish_after_cancel(server: FakeServer) -> None:
    server.was_cancelled.wait(20)
    server.may_finish.set()


def test_a_failure_is_told_and_the_talk_goes_on(talk: Talk) -> None:
    server = talk.server
    server.failures["Generate"] = status(grpc.StatusCode.INTERNAL, "X", "it broke")
    text = talk("hi", "/list")
    assert "Error: it broke\n" in text
    assert "NAME" in text


def test_a_model_that_cannot_be_loaded_leaves_the_talk_with_the_old_one(talk: Talk) -> None:
    talk.server.models.append(model("bad:latest"))
    talk.server.unloadable = "bad"
    assert "Error: it is broken\n" in talk("/load bad", "hi")
    assert talk.asked[0].model == "tiny"


def test_system_and_parameters_go_with_each_message(talk: Talk) -> None:
    text = talk(
        "/set system Be brief.",
        "/set parameter temperature 0.5",
        "/set parameter stop a b",
        "hi",
        '/set system """two',
        'lines"""',
        "hi",
    )
    assert "Set system message.\n" in text
    assert "Set parameter 'temperature' to '0.5'\nSet parameter 'stop' to 'a, b'\n" in text
    first, second = talk.asked
    assert first.system == "Be brief."
    assert (first.options.temperature, list(first.options.stop.values)) == (0.5, ["a", "b"])
    assert second.system == "two\nlines"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("/set parameter num_ctx x", 'Couldn\'t set parameter: "invalid int value [x]"\n'),
        ("/set parameter num_ctx 99999999999", "Couldn't set parameter: \"invalid int value ["),
        ("/set parameter nope 1", "Couldn't set parameter: \"unknown parameter 'nope'\"\n"),
        ("/set parameter seed", "Available Parameters:"),
        ("/set verbose", "Set 'verbose' mode.\n"),
        ("/set nowordwrap", "Set 'nowordwrap' mode.\n"),
        ("/set format json", "Set format to 'json' mode.\n"),
        ("/set format x", "Invalid or missing format. For 'json' mode use '/set format json'\n"),
        ("/set noformat", "Disabled format.\n"),
        (
            "/set think high",
            "Set 'think' mode to 'high'.\nwarning: model \"tiny\" does not support",
        ),
        ("/set nothink", "Set 'nothink' mode.\n"),
        ("/set x", "Unknown command '/set x'. Type /? for help\n"),
        ("/show x", "Unknown command '/show x'. Type /? for help\n"),
        ("/nope", "Unknown command '/nope'. Type /? for help\n"),
        ("/load", "Usage:\n  /load <modelname>\n"),
        ("/load nope", "Couldn't find model 'nope'\n"),
        ("/load tiny", "Loading model 'tiny'\n"),
        ("/save a:b:c", "error: The model name 'a:b:c' is invalid\n"),
        ("/?", "Available Commands:\n  /set "),
        ("/? shortcuts", "Available keyboard shortcuts:\n"),
        ("/show", "Available Commands:\n  /show info"),
        ("/show license", "No license was specified for this model.\n"),
        ("/show system", "No system message was specified for this model.\n"),
        ("/show template", "{{ .Prompt }}\n"),
        ("/show parameters", "Model defined parameters:\n  seed 1\n"),
        ("/show info", "  Model\n    architecture"),
        ("/byebye", ""),
    ],
)
def test_each_command_says_what_it_did(talk: Talk, line: str, text: str) -> None:
    talk.server.shown = pb.ShowModelResponse(parameters="seed 1", template="{{ .Prompt }}")
    assert talk(line).startswith(text)
    assert talk.asked == []


def test_show_lays_what_was_set_over_the_model(talk: Talk) -> None:
    text = talk("/set system Mine.", "/set parameter seed 7", "/show system", "/show parameters")
    assert "Mine.\n" in text
    assert f"User defined parameters:\n  {'seed':<30} 7\n" in text
    assert talk.server.last(pb.ShowModelRequest).options["seed"] == 7


def test_save_keeps_the_talk(talk: Talk) -> None:
    text = talk("hi", "/set system S", "/set parameter seed 7", "/save mine")
    assert text.endswith("Created new model 'mine'\n")
    request: Any = talk.server.last(pb.CreateModelRequest)
    assert (request.model, getattr(request, "from"), request.system) == ("mine", "tiny", "S")
    assert dict(request.parameters) == {"seed": 7}
    assert list(request.messages) == [
        model_pb2.StoredMessage(role="user", content="hi"),
        model_pb2.StoredMessage(role="assistant", content="Hello!"),
    ]


def test_history_keeps_the_last_hundred_and_can_be_switched_off(talk: Talk) -> None:
    talk(*[f"/x{number}" for number in range(101)], "/set nohistory", "/secret")
    entries = list(HistoryFile(talk.history).load_history_strings())
    assert len(entries) == 100
    assert entries[:2] == ["/set nohistory", "/x100"]
    assert talk.history.stat().st_mode & 0o077 == 0
    assert [path.name for path in talk.history.parent.iterdir()] == ["history"]


def test_a_history_that_cannot_be_used_is_done_without(tmp_path: Path) -> None:
    history = HistoryFile(tmp_path)
    history.store_string("x")
    assert list(history.load_history_strings()) == []


def test_lines_add_up_to_entries() -> None:
    lines = Multiline()
    assert lines.feed("hi") == Entry("hi")
    assert lines.feed('"""') is None
    assert lines.is_open
    assert lines.feed("/bye") is None
    assert lines.feed('end"""') == Entry("\n/bye\nend", is_quoted=True)
    assert lines.feed('/set system """x"""') == Entry("/set system x")
    assert lines.feed('say """') == Entry('say """')


def test_verbose_can_be_switched_on(talk: Talk) -> None:
    talk.server.answer = hello()
    talk.server.answer[-1].finished.generated_count = 3
    assert talk("/set verbose", "hi").endswith("eval count:           3 token(s)\n")
