"""The kinds of channels, one file each, found by `weft.alerts.notify.catalogue`."""
