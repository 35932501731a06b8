"""The texts of the interface, in English and Chinese. The contents of a domain keep their own language."""

LANGUAGES = {"en": "English", "zh": "中文"}

WORDS = {
    "adapter_help": (
        "The base model, or an adapter that `lorewright finetune` trained on this domain.",
        "基础模型，或用 `lorewright finetune` 在本领域上训练的适配器。",
    ),
    "read_but": ("Documents read with warnings: {count}", "读取时有警告的文档：{count} 篇"),
    "reader": ("Reader (shipped with Lorewright)", "阅读适配器（随 Lorewright 提供）"),
    "adapter_label": ("Adapter", "适配器"),
    "answered_by": ("Answered by adapter {name}", "由适配器 {name} 回答"),
    "answered_by_base": ("Answered by the base model", "由基础模型回答"),
    "ask": ("Ask the documents", "向文档提问"),
    "base_model": ("Base model", "基础模型"),
    "broke_off": (
        "The answer was interrupted; the error is shown in the terminal that runs this page.",
        "回答中断了；错误信息见启动本页面的终端。",
    ),
    "cannot_open": ("Cannot open the assistant: {reason}", "无法打开助手：{reason}"),
    "cannot_open_help": (
        "If the message names a command, run it in a terminal, then try again.",
        "如果提示中给出了命令，请先在终端里运行，再点“重试”。",
    ),
    "changed_since": (
        "This document has changed since it was indexed; the indexed version is shown.",
        "文档在建立索引后有改动，这里显示的是索引中的版本。",
    ),
    "conversations": ("Conversations", "会话"),
    "delete": ("Delete", "删除"),
    "delete_for_good": ("Delete permanently", "永久删除"),
    "delete_question": (
        "Its questions, answers and ratings will be deleted.",
        "其中的问题、回答和评价都会被删除。",
    ),
    "documents": ("Documents: {count}", "文档：{count} 篇"),
    "everything": ("Show all {count}", "显示全部 {count} 个"),
    "hello": (
        "Every answer cites the passages it is based on; open a source to read it in context. If the documents do "
        "not contain the answer, the assistant says so.",
        "每个回答都会标注所依据的段落，点开来源即可查看上下文。如果文档里没有答案，助手会直接说明。",
    ),
    "language": ("Language", "语言"),
    "line": ("line {line}", "第 {line} 行"),
    "loading": ("Loading the model (first question only)", "正在加载模型（仅第一个问题需要）"),
    "model": ("Base model: {name}", "基础模型：{name}"),
    "new_conversation": ("New conversation", "新会话"),
    "no_answer": ("No answer: {reason}", "未能回答：{reason}"),
    "no_domain": (
        "The page was started without a domain; run: lorewright ui DOMAIN",
        "启动页面时没有指定领域，请运行：lorewright ui 领域文件夹",
    ),
    "not_said": ("Stopped before the first token.", "已停止，尚未生成任何内容。"),
    "page": ("page {page}", "第 {page} 页"),
    "reading": ("Reading the retrieved passages", "正在阅读检索到的段落"),
    "refusal_calibrated": ("Refusal calibrated: {languages}", "拒答已校准：{languages}"),
    "refusal_off": ("Refusal: turned off in domain.toml", "拒答：已在 domain.toml 中关闭"),
    "refusal_rates": (
        "{language}: calibrated on {questions} training questions. Answers {false_answers} of the questions that "
        "it should refuse ({unsure_answers} marked as unsure) and refuses {false_refusals} of those that it should "
        "answer (cross-validated).",
        "{language}：用 {questions} 个训练问题校准。"
        "应拒答的问题中有 {false_answers} 仍被回答（其中 {unsure_answers} 标为“不确定”），"
        "应回答的问题中有 {false_refusals} 被拒答（交叉验证）。",
    ),
    "refusal_uncalibrated": ("Refusal not calibrated: {languages}", "拒答未校准：{languages}"),
    "refusal_unknown_rates": (
        "{language}: too few training questions, so the error rates are unknown.",
        "{language}：训练问题太少，错误率未知。",
    ),
    "answer_anyway": ("Answer anyway", "仍然回答"),
    "check_negation": (
        'Check: "{sentence}" and its source differ in a negation.',
        "请核对：“{sentence}”与来源在否定词上不一致。",
    ),
    "check_numbers": (
        "Check: no retrieved passage contains {numbers}.",
        "请核对：检索到的段落里没有 {numbers}。",
    ),
    "also_found": ("Also found: {place}", "另外找到：{place}"),
    "nearest": ("Nearest passage: {place}", "最接近的段落：{place}"),
    "unsure": ("Unsure", "不确定"),
    "unsure_help": (
        "The retrieved passages may not answer this question; check the sources below.",
        "检索到的段落未必能回答这个问题，请核对下面的来源。",
    ),
    "refused": ("Not in the documents", "文档中没有"),
    "reload": ("Reload the domain", "重新加载领域"),
    "reload_help": (
        "After a change of domain.toml, or after `lorewright index`.",
        "修改 domain.toml 或运行 `lorewright index` 之后使用。",
    ),
    "seconds": ("{seconds} s", "{seconds} 秒"),
    "sheet": ("sheet {sheet}", "工作表“{sheet}”"),
    "slide": ("slide {slide}", "第 {slide} 张幻灯片"),
    "source": ("Source text", "来源原文"),
    "stop": ("Stop", "停止"),
    "try_again": ("Try again", "重试"),
    "unproved": (
        "No source: no retrieved passage supports this.",
        "没有来源：检索到的段落都不支持这个说法。",
    ),
}
"""Maps each key to its English and Chinese text; :func:`words` fills in ``{names}``."""


def words(language: str, key: str, /, **values: object) -> str:
    """The text of one key in a language of :data:`LANGUAGES`."""
    return WORDS[key][list(LANGUAGES).index(language)].format(**values)


def language_of_browser(locale: str | None) -> str:
    """The language of :data:`LANGUAGES` for a browser locale such as ``zh-CN``; English if unknown."""
    return "zh" if (locale or "").lower().startswith("zh") else "en"
