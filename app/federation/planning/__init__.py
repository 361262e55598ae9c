"""What will run: the plan and the rules that make it."""
