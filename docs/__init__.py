"""The manual, and the small generator (`python -m docs`) of the pages that are written from the code."""
