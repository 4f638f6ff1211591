"""The expression language: its own small grammar, a typed tree, and what can be done with one.

- `parser.parse(text)` makes the tree as written (`tree`), `write.write(tree)` the text of a tree.
- `bind.bind_condition(text)` and `bind.bind(text, names)` make a typed expression over single rows, `split.split(text)` and
  `split.split_condition(text, threshold=…)` named aggregates over events and an expression over their names.
- `evaluate.evaluate`, `select` and `evaluate_row`, `trace` give its value for whole columns, or for one row with every part.
- `sql.render` writes it for DuckDB or Flink, `sentence.sentence` in words, `check.check` explains a text while it is typed.

Everything that is wrong with a text is an Invalid whose details name column and length. A text has at most 2,000
characters, 200 parts and 32 levels, so whatever is done with it is bounded.
"""
