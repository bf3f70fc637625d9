"""JMESPath expressions that strangers wrote: the language, its functions, and evaluation within bounds. Pure."""

from engine.expressions.evaluation import Budget, Evaluation, compiled, roots
from engine.expressions.faults import ExpressionFault
from engine.expressions.language import Node

__all__ = ["Budget", "Evaluation", "ExpressionFault", "Node", "compiled", "roots"]
