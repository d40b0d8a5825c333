"""A sitecustomize that refuses to import what only training needs."""

HIDING = """
import sys
print("hook", file=sys.stdout)
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"optuna", "wandb", "sklearn", "matplotlib"}:
            raise ImportError(f"{name} is hidden")
sys.meta_path.insert(0, Hidden())
"""
