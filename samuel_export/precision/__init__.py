"""Convert graphs to fp16 or bf16 arithmetic, or their weights alone to fp16."""
