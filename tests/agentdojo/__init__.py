"""AgentDojo's tasks as Life OS plans, run by a real engine and judged by AgentDojo's own checkers."""
