"""What every room builds on: errors, files, strict tables, the terminal, interrupts, and the shell and charts of pages."""
