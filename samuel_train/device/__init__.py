"""Where training runs, and how it is spared waiting: devices, memory, CUDA graphs."""
