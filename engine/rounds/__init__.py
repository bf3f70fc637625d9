"""What follows in runs with conditions, lists, waits and answers: looked at in rounds, under the runs' locks."""

from engine.rounds.settling import Rules, settle, start_elaborate

__all__ = ["Rules", "settle", "start_elaborate"]
