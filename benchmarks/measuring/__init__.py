"""How things are timed: the machine, pairs in one process, processes from start to end, voices of any length."""
