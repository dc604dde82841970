"""Metrics of classifiers: predictions beside labels, reliability, a verdict."""
