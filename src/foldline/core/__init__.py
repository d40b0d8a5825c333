"""What every room builds on: errors, files, strict tables, the terminal, interrupts, HTML pages and their charts."""
