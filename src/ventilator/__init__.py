"""What is true of the ventilator competition only: its controller, a simulator of its breaths, and their decoder."""
