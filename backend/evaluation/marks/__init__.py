"""Marks of real skin, followed by an independent tracker: does the fitted head move as the footage does?"""
