"""`samuel-serve` on a Ray cluster: replicas that make bands, tasks that read uploads, and the server's ends of them.

`settings` is of all; `replica` runs on any node, `renderer` and `inspector` in the server. They are put together by
samuel_runtime/serve/ray_app.py. Nothing is imported here, so that none loads another's.
"""
