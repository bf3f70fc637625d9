"""What happens: plans, risk, approvals, and the loops that run steps."""
