"""`samuel-serve` on a Ray cluster: replicas that make bands, and the server's end of them.

`settings` is of both; `replica` runs on any node, `renderer` in the server. samuel_runtime/serve/ray_app.py puts them
together. Nothing is imported here, so that neither loads the other's.
"""
