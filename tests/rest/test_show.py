"""/api/show."""

from __future__ import annotations

import time

import grpc
import pytest
from google.protobuf import json_format

from llamawire.v1 import model_pb2, model_service_pb2
from llamawire.v1.model_pb2 import MetadataArray, MetadataValue
from rest.conftest import Rest
from rest.fake_engine import MODEL, Failed

INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND


@pytest.fixture
def _utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def full() -> model_service_pb2.ShowModelResponse:
    strings = [MetadataValue(text=text) for text in ("<s>", "é")]
    return model_service_pb2.ShowModelResponse(
        model=MODEL,
        licenses=["MIT", "Apache-2.0"],
        modelfile="# <M>\n",
        parameters="seed 1",
        template="{{ .Prompt }}",
        system="S",
        messages=[model_pb2.StoredMessage(role="user", content="hi")],
        model_info={
            "z.unsigned": MetadataValue(unsigned=(1 << 64) - 1),
            "a.integer": MetadataValue(integer=-5),
            "a.number": MetadataValue(number=1e21),
            "a.number32": MetadataValue(number32=1e-5),
            "a.whole": MetadataValue(number32=10000),
            "a.flag": MetadataValue(flag=False),
            "a.text": MetadataValue(text=""),
            "a.list": MetadataValue(array=MetadataArray(values=strings)),
            "a.floats": MetadataValue(
                array=MetadataArray(
                    values=[MetadataValue(number32=-1), MetadataValue(number32=0.1)]
                )
            ),
            "a.none": MetadataValue(array=MetadataArray()),
            "a.omitted": MetadataValue(array=MetadataArray(omitted=True)),
            "a.bytes": MetadataValue(data=b"\x01\xff"),
        },
        projector_info={"clip.has_vision_encoder": MetadataValue(flag=True)},
        tensors=[model_pb2.Tensor(name="t", type="F32", shape=[64, 2])],
        requires="0.1.0",
        remote_model="rm",
        remote_host="https://rh",
    )


@pytest.mark.usefixtures("_utc")
async def test_every_field_in_its_place(rest: Rest) -> None:
    rest.engine.shown = full()
    reply = await rest.request("POST", "/api/show", {"model": "tiny"})
    assert reply.status == 200
    assert reply.type == "application/json; charset=utf-8"
    assert reply.body.decode() == (
        r'{"license":"MIT\nApache-2.0","modelfile":"# \u003cM\u003e\n","parameters":"seed 1",'
        '"template":"{{ .Prompt }}","system":"S","details":{"parent_model":"","format":"gguf",'
        '"family":"llama","families":["llama"],"parameter_size":"1M","quantization_level":"F16"},'
        '"messages":[{"role":"user","content":"hi"}],"remote_model":"rm",'
        '"remote_host":"https://rh","model_info":{"a.bytes":"Af8=","a.flag":false,'
        '"a.floats":[-1,0.1],"a.integer":-5,"a.list":["\\u003cs\\u003e","é"],"a.none":[],'
        '"a.number":1e+21,"a.number32":0.00001,"a.omitted":null,"a.text":"","a.whole":10000,'
        '"z.unsigned":18446744073709551615},"projector_info":{"clip.has_vision_encoder":true},'
        '"tensors":[{"name":"t","type":"F32","shape":[64,2]}],"capabilities":["completion"],'
        '"modified_at":"2023-11-14T22:13:20.12Z","requires":"0.1.0"}'
    )


@pytest.mark.usefixtures("_utc")
async def test_what_is_empty_is_left_out(rest: Rest) -> None:
    rest.engine.shown = model_service_pb2.ShowModelResponse()
    reply = await rest.request("POST", "/api/show", {"model": "tiny"})
    assert reply.body == (
        b'{"details":{"parent_model":"","format":"","family":"","families":null,'
        b'"parameter_size":"","quantization_level":""},"model_info":{},'
        b'"modified_at":"1970-01-01T00:00:00Z"}'
    )


async def test_a_verbose_answer_is_the_same(rest: Rest) -> None:
    rest.engine.shown = full()
    short = await rest.request("POST", "/api/show", {"model": "tiny"})
    long = await rest.request("POST", "/api/show", {"model": "tiny", "verbose": True})
    assert (long.body, long.type) == (short.body, short.type)


async def test_the_request_reaches_the_engine(rest: Rest) -> None:
    body = {
        "MODEL": " tiny:local ", "verbose": True, "system": "s", "template": "ignored",
        "options": {"seed": 1, "stop": ["a"]}, "name": "other",
    }  # fmt: skip
    assert (await rest.request("POST", "/api/show", body)).status == 200
    request = rest.engine.last(model_service_pb2.ShowModelRequest)
    assert json_format.MessageToDict(request) == {  # type: ignore[arg-type]
        "model": "tiny", "verbose": True, "system": "s", "options": {"seed": 1.0, "stop": ["a"]},
    }  # fmt: skip


async def test_older_clients_say_name(rest: Rest) -> None:
    assert (await rest.request("POST", "/api/show", {"name": "tiny"})).status == 200
    request = rest.engine.last(model_service_pb2.ShowModelRequest)
    assert request.model == "tiny"  # type: ignore[attr-defined]


async def test_a_certain_client_gets_the_name_that_it_asked_for(rest: Rest) -> None:
    rest.engine.shown.model_info["general.basename"].text = "Base"
    rest.engine.shown.model_info["x"].text = "y"
    for agent, name in (("GitHubCopilotChat/1.0", "foo"), ("curl/8", "Base")):
        reply = await rest.request("POST", "/api/show", {"model": "foo"}, User_Agent=agent)
        assert reply.json["model_info"] == {"general.basename": name, "x": "y"}


@pytest.mark.parametrize(
    ("body", "error", "status", "text"),
    [
        ({}, Failed("MODEL_REQUIRED", code=INVALID), 400, "model is required"),
        ({"model": "!"}, Failed("INVALID_MODEL_NAME", code=INVALID, model="!"), 400,
         "invalid model name"),
        ({"model": "foo"}, Failed("MODEL_NOT_FOUND", code=NOT_FOUND, model="foo:latest"), 404,
         "model 'foo:latest' not found"),
        ({"model": "foo"}, Failed("CORRUPT_MANIFEST", "not JSON", grpc.StatusCode.DATA_LOSS), 500,
         "not JSON"),
        ({"model": "foo:cloud"}, None, 403,
         "ollama cloud is disabled: remote model details are unavailable"),
        ({"model": "a:cloud:local"}, None, 400,
         'use either :local or :cloud, not both: "a:cloud:local"'),
        ({"model": 1}, None, 400,
         "json: cannot unmarshal number into Go struct field ShowRequest.model of type string"),
        ({"options": []}, None, 400,
         "json: cannot unmarshal array into Go struct field ShowRequest.options of type "
         "map[string]interface {}"),
        (b"", None, 400, "missing request body"),
    ],
)  # fmt: skip
async def test_refusals(
    rest: Rest, body: object, error: Failed | None, status: int, text: str
) -> None:
    if error:
        rest.engine.failures["ShowModel"] = error
    reply = await rest.request("POST", "/api/show", body)
    assert (reply.status, reply.error) == (status, text)


async def test_a_model_that_runs_elsewhere_is_not_local(rest: Rest) -> None:
    rest.engine.shown = full()
    reply = await rest.request("POST", "/api/show", {"model": "foo:local"})
    assert (reply.status, reply.error) == (404, "model 'foo:local' not found")
    assert (await rest.request("POST", "/api/show", {"model": "foo"})).status == 200
