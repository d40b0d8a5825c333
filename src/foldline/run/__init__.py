"""From a config's tables to cells, and where they run: planning, executors, estimates, ledger, tracking."""
