"""Serve: a trained experiment that is loaded once and answers at once, a series, a table or a step at a time.

    from foldline.serve import load

    predictor = load("rides")              # a config's name, or the folder of a bundle's data set
    answers = predictor.predict(frame)     # a polars frame: ids and answers, in the order of the rows that came
    stream = predictor.stream()            # for competitions that reveal a step at a time
    answers = stream.step(frame)

Nothing is trained or written, no process is started and no setting of this one is changed; a predictor may be used by
several threads at once. docs/how-to/serve.md is the page for users.
"""

from foldline.serve.predictor import Predictor, load

__all__ = ["Predictor", "load"]
