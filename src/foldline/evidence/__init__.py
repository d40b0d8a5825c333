"""Experiments about experiments: ablation, audit, blending, study, tuning."""
