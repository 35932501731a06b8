"""Add the target of a link to its text where the text does not show it: e-mail addresses, files, "here"."""

import re
from urllib.parse import unquote

_ADDRESS = re.compile(r"(mailto|tel|sms):(//)?([^?\s]+)", re.IGNORECASE)
_FILE = re.compile(r"\.(?:pdf|docx?|xlsx?|pptx?|csv|zip|od[tsp]|wps|rtf|txt|epub)(?:[?#]|$)", re.IGNORECASE)
_NO_NAME = re.compile(
    r"(?:click |see |read )?(?:here|this|link|this link|this page|more|download|form)\.?"
    r"|(?:点击|请点击|点)?(?:这里|此处|这儿|链接|下载|点击|点这里|更多|详情|附件)",
    re.IGNORECASE,
)
_LONGEST = 200


def with_target(text: str, target: str) -> str:
    """The text of a link, followed by its target if the text alone does not show it."""
    shown = text.strip()
    if address := _ADDRESS.match(target.strip()):
        target = unquote(address[3])
        known = re.sub(r"\W", "", target) in re.sub(r"\W", "", shown)
    else:
        is_web = target.lower().startswith(("http://", "https://"))
        known = not is_web or not (_FILE.search(target) or _NO_NAME.fullmatch(shown)) or target in shown
    if known or not shown or len(target) > _LONGEST:
        return text
    return f"{text.rstrip()} ({target}){text[len(text.rstrip()) :]}"
