"""Jobs as the worker's protocol writes them."""

from __future__ import annotations

from llamawire.engine.job import Job, Journal, TokenLogprob
from llamawire.engine.prompt.output import ThinkingBudget
from llamawire.session.v1 import worker_service_pb2 as pb

__all__ = ["job_message", "read_logprob"]


def job_message(job_id: int, job: Job, journal: Journal) -> pb.Job:
    """A new job, or, once its journal has the prompt's ids, one that goes on from there."""
    options = job.options
    message = pb.Job(
        id=job_id,
        generated=pb.Tokens(ids=journal.generated_ids),
        emitted_bytes=journal.emitted_bytes,
        truncate=job.truncate,
        options=pb.JobOptions(
            seed=options.seed,
            temperature=options.temperature,
            top_k=options.top_k,
            top_p=options.top_p,
            min_p=options.min_p,
            typical_p=options.typical_p,
            repeat_last_n=options.repeat_last_n,
            repeat_penalty=options.repeat_penalty,
            presence_penalty=options.presence_penalty,
            frequency_penalty=options.frequency_penalty,
            penalize_newline=options.penalize_newline,
            num_predict=options.num_predict,
            num_keep=options.num_keep,
            stop=options.stop,
            num_ctx=options.num_ctx,
            num_batch=options.num_batch,
            shift=job.shift,
            reproducible=job.reproducible,
            isolated=job.isolated,
            priority=job.priority,
            user=job.user,
            grammar=job.grammar.text if job.grammar else "",
            grammar_root=job.grammar.root if job.grammar else "root",
            grammar_frame=job.grammar.frame if job.grammar else "",
            marks=job.marks,
            thinking=thinking_message(job.thinking),
            top_logprobs=-1 if job.top_logprobs is None else job.top_logprobs,
        ),
    )
    message.images.extend(job.images)
    for image, begin in journal.image_spans:
        message.image_spans.add(image=image, begin=begin)
    prompt = job.prompt if journal.prompt_ids is None else journal.prompt_ids
    if isinstance(prompt, str):
        message.text = prompt
    else:
        message.tokens.ids.extend(prompt)
    return message


def thinking_message(budget: ThinkingBudget | None) -> pb.ThinkingBudget | None:
    if budget is None:
        return None
    return pb.ThinkingBudget(
        tokens_max=budget.tokens_max,
        opening=budget.opening,
        closings=budget.closings,
        is_open=budget.is_open,
        reopens=budget.reopens,
        ending=budget.ending,
    )


def read_logprob(message: pb.TokenLogprob) -> TokenLogprob:
    top = tuple((each.token, each.logprob) for each in message.top)
    return TokenLogprob(message.token, message.logprob, top)
