"""JMESPath expressions that strangers wrote: the language, its functions, and evaluation within bounds. Pure."""

from engine.expressions.evaluation import Budget, Evaluation, compiled, roots
from engine.expressions.faults import ExpressionFault

__all__ = ["Budget", "Evaluation", "ExpressionFault", "compiled", "roots"]
