"""What an evaluation leaves behind: rows, tables, JSON, a picture, a listening page."""
