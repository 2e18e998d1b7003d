"""Jobs: what was asked, where it is kept on disk, whose turn it is, and how long it takes.

Nothing is imported here: workers need `request` alone, and start the sooner.
"""
