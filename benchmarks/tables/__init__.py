"""From the results' JSON to rows, claims and pictures."""
