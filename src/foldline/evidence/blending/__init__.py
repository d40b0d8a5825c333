"""What `./run.sh blend` finds: how the methods compare, and what each member is worth."""
