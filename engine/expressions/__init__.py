"""JMESPath expressions that strangers wrote: the language, its functions, and evaluation within bounds. Pure."""

from engine.expressions.evaluation import Budget, Evaluation, Look, compiled, look, roots
from engine.expressions.faults import ExpressionFault
from engine.expressions.language import Node

__all__ = ["Budget", "Evaluation", "ExpressionFault", "Look", "Node", "compiled", "look", "roots"]
