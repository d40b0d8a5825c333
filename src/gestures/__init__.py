"""A simulated competition of one class per series: gestures of the hand, seen by a motion sensor on the wrist."""
