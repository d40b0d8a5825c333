"""One experiment as a whole: its config, its preparation, its scores, its record under runs/, and inference."""
