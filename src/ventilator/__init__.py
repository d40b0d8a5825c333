"""Code for the ventilator competition only: its controller, a simulator of its breaths, and their exact decoder."""
