"""Saved dashboards: panels over the questions that this room answers, and over continuous queries and alerts by name."""
