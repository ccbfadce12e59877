"""What to do next: strategies and dated rules as data, chosen for one classification. Decision support, not advice."""

from serving.playbook.context import CaseContext
from serving.playbook.plan import Due, Plan, PlannedStrategy, Reason
from serving.playbook.playbook import Playbook
from serving.playbook.problems import InvalidPlaybook, Problem

__all__ = ["CaseContext", "Due", "InvalidPlaybook", "Plan", "PlannedStrategy", "Playbook", "Problem", "Reason"]
