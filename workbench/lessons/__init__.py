"""The workshop as data and functions: exercises, checks, hints, predictions, progress. No Jupyter; `widgets/lesson.py` shows it."""
