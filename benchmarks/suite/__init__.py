"""The rows of the tables: pairs of runners, timed by pytest-benchmark."""
