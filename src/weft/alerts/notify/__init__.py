"""Channels: how people and programs are told, and the worker that delivers what was intended."""
