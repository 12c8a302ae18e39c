"""Wrinkles found in films of heads whose wrinkles are known."""
