"""What a run gives to its user: report, submission, board, tracking, and the way to Kaggle."""
