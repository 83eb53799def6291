"""Knowledge in, retrieval, answers.

`ingest` reads files (in a child process, `sandbox` and `parse`), cuts them into passages (`chunk`) and
writes them with their vectors (`embed`). `index` searches a tenant's passages, `support` says how well the
best one answers, `local` puts rules, small talk and retrieval together as the `Brain` of the core.
`providers` turn passages into an answer; `evaluate` measures all of it.
"""
