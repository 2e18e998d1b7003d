"""Processes that may die: one reads strangers' recordings, others make bands; and the server's ends of their pipes.

`process`, `renderer` and `inspector` are the server's; `pipe`, `outcomes`, `inspecting` and `rendering` the worker's;
`config` is of both. Nothing is imported here, so that neither loads the other's.
"""
