"""Processes that may die: one reads strangers' recordings, others make bands; and the server's ends of their pipes.

`config` and `process`, `renderer`, `inspector` are the server's; `config`, `pipe`, `outcomes`, `inspecting`, `rendering`
the worker's. Nothing is imported here, so that neither loads the other's.
"""
