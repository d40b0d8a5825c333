"""What leaves a run: report, submission, board, tracking, Kaggle."""
