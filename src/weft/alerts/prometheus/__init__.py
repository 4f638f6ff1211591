"""Rule files of Prometheus, as far as they can be said in Weft."""
