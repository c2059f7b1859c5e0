"""A fast fake model server: OpenAI-compatible and Ollama-compatible on one port.

It exists so that a chat platform can be measured without a model: replies are paced exactly, cost almost nothing to
make, and every token can carry its number and the monotonic time at which it left, so that a client on the same machine
can tell how long the platform held each one, and whether one was lost, doubled or out of order.

    python -m tests.bench.paced --port 9100
    python -m tests.bench.paced --self-test        # how many tokens/s one core can emit

A request is steered by fields in its last user message, or by the defaults given on the command line:

    [[n=200 tps=50 ttft=100]]   200 tokens at 50 tokens/s, the first after 100 ms
    [[tps=0]]                   as fast as the socket takes them
    [[stamp=1]]                 each token is " @<number>-<monotonic microseconds>@"
    [[tool=lookup]]             calls the tool `lookup` first (once), then replies
    [[err=503]]                 answers with that HTTP status

Endpoints: /v1/models, /v1/chat/completions, /v1/embeddings, /api/version, /api/tags, /api/ps, /api/show, /api/chat,
/api/generate, /api/embed, /api/embeddings, and /stats (counters: requests, tokens, streams active, cut).
"""
