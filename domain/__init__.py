"""The domain: one folder that holds all state of one assistant.

This room defines the folder's layout, the schema of ``domain.toml`` and the format of question files; it writes files
atomically and reads databases on read-only storage. It knows nothing of models, indexes or answers, and imports no
other room.
"""

from domain.databases import reading_database
from domain.errors import DomainError
from domain.files import whole_file, whole_folder, write_text
from domain.finetune_settings import ClassifierConfig, FinetuneConfig
from domain.folder import Domain, create_domain
from domain.questions import Question, is_text, read_questions
from domain.settings import REFUSAL_LEVELS, Settings, set_setting

__all__ = [
    "REFUSAL_LEVELS",
    "ClassifierConfig",
    "Domain",
    "DomainError",
    "FinetuneConfig",
    "Question",
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
