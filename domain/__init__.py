"""The domain: one folder that holds all state of one assistant.

This room knows the folder's layout, the schema of ``domain.toml``, how questions are written down, how to write a
file so that it is either whole or absent, and how to read a database where nothing can be written. It knows nothing of
models, indexes or answers, and imports no other room.
"""

from domain.databases import reading_database
from domain.errors import DomainError
from domain.files import whole_file, whole_folder, write_text
from domain.finetune_settings import ClassifierConfig
from domain.folder import Domain, create_domain
from domain.questions import Question, is_text, read_questions
from domain.settings import REFUSAL_LEVELS, AnswerSettings, FinetuneConfig, RetrievalSettings, Settings, set_setting

__all__ = [
    "REFUSAL_LEVELS",
    "AnswerSettings",
    "ClassifierConfig",
    "Domain",
    "DomainError",
    "FinetuneConfig",
    "Question",
    "RetrievalSettings",
    "Settings",
    "create_domain",
    "is_text",
    "read_questions",
    "reading_database",
    "set_setting",
    "whole_file",
    "whole_folder",
    "write_text",
]
