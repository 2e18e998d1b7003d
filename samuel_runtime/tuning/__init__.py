"""What is measured on this machine, and what is chosen by it: speed, agreement, preference, time targets."""
