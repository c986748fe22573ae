"""Schedules that follow sound."""
