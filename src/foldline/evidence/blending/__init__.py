"""`./run.sh blend`: how the blending methods compare, and what each member contributes."""
