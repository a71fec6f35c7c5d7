"""Chat: the one place that converts conversations to token ids, and generated token ids to answers.

Generation, translation, scoring, judging and training all go through a `Chat`, so what is trained on is, token for
token, what generation would continue. `probe` proves that on a few conversations before a model is used.
"""

from lidr.chat.conversation import AssistantTurn, Chat, listed_end_ids, open_chat
from lidr.chat.probe import probe
from lidr.chat.template import fixed_template

__all__ = ["AssistantTurn", "Chat", "fixed_template", "listed_end_ids", "open_chat", "probe"]
