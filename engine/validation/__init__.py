"""Says everything that is wrong with a plan, each fault at its path, and turns a sound one into steps. Pure.

The same for a client's plan and a planner's: neither is trusted.
"""

from engine.validation.check import check_plan, check_plan_aside, is_long
from engine.validation.sound import SoundPlan, SoundStep

__all__ = ["SoundPlan", "SoundStep", "check_plan", "check_plan_aside", "is_long"]
