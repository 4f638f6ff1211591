"""One file per generated page; each offers `render() -> str`."""
