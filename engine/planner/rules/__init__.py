"""The planner that comes with the engine: rules over the phrases that tools declare; no model, always the same answer.

tokens → clauses (each matched by one phrase of one tool) → steps
"""

from engine.planner.rules.planner import MOST_WORDS, RulePlanner, plan_by_rules

__all__ = ["MOST_WORDS", "RulePlanner", "plan_by_rules"]
