"""`llamawire bench`: measures servers of language models from outside.

A *target* is a server behind one of three protocols. A *scenario* is a small play of requests that
ends in numbers, its *metrics*. Targets take turns within each round, so that whatever else the
machine does falls on all of them; metrics are compared round by round.

target         where a server is, and the client that speaks its protocol
exchange       one request and its answer, with the time of each message
http_record    HTTP answers, recorded raw while they come and read afterwards
ollama, openai, grpc_api   the three protocols
prompts        texts of a wanted number of tokens
scenario, scenarios   what a play is made of, and the plays
trial          rounds of one play, in turns
clock          whether a server's own timings agree with the client's
statistics, comparison   ratios with their intervals, and the gate
report, results, plots   tables, JSON, pictures
model_file, shapes, vocabulary   random models that never end early
command, measuring   the flags, and one measurement from its beginning to its end
"""
