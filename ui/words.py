"""The texts of the interface, in English and Chinese. The contents of a domain keep their own language."""

LANGUAGES = {"en": "English", "zh": "中文"}

WORDS = {
    "adapter_help": (
        "The base model as it was published, or an adapter that `lorewright finetune` trained on this domain.",
        "发布时的基础模型，或由 `lorewright finetune` 在本领域上训练的适配器。",
    ),
    "read_but": ("Documents read with omissions: {count}", "未全部读入的文档：{count} 篇"),
    "reader": ("The reader (shipped with Lorewright)", "阅读适配器（随 Lorewright 提供）"),
    "adapter_label": ("Who answers", "由谁回答"),
    "answered_by": ("Answered by the adapter {name}", "回答者：适配器 {name}"),
    "answered_by_base": ("Answered by the base model", "回答者：基础模型"),
    "ask": ("Ask the documents", "向文档提问"),
    "base_model": ("Base model", "基础模型"),
    "broke_off": (
        "The answer broke off; the terminal in which the page was started says why.",
        "回答中断了；原因见启动本页面的终端。",
    ),
    "cannot_open": ("The assistant cannot be opened: {reason}", "助手无法打开：{reason}"),
    "cannot_open_help": (
        "If it names a command, run that in a terminal; then try again.",
        "如果上面给出了命令，请在终端里运行它，然后点“重试”。",
    ),
    "changed_since": (
        "This document has changed since; here is the passage as it was read then.",
        "文档此后已有改动；这里是当时读到的段落。",
    ),
    "conversations": ("Conversations", "会话"),
    "delete": ("Delete", "删除"),
    "delete_for_good": ("Delete for good", "永久删除"),
    "delete_question": ("Its questions, answers and ratings will be gone.", "其中的问题、回答和评价都会消失。"),
    "documents": ("Documents: {count}", "文档：{count} 篇"),
    "everything": ("Show all {count}", "显示全部 {count} 个"),
    "hello": (
        "Every answer names the passages it rests on. Open a source to read it in its place. "
        "What the documents do not hold, the assistant says it does not know.",
        "每个回答都会标明所依据的段落，打开来源即可在原文中查看。文档里没有的内容，助手会说明它不知道。",
    ),
    "language": ("Language", "语言"),
    "line": ("line {line}", "第 {line} 行"),
    "loading": (
        "Loading the model into memory, only for the first question",
        "正在把模型载入内存，只有第一个问题需要",
    ),
    "model": ("Base model: {name}", "基础模型：{name}"),
    "new_conversation": ("New conversation", "新会话"),
    "no_answer": ("No answer: {reason}", "没有得到回答：{reason}"),
    "no_domain": (
        "The page was started without a domain; start it with: lorewright ui DOMAIN",
        "启动页面时没有给出领域；请用此命令启动：lorewright ui 领域文件夹",
    ),
    "not_said": ("Stopped before the first word.", "在第一个字之前就已停止。"),
    "page": ("page {page}", "第 {page} 页"),
    "reading": ("Reading the passages that fit", "正在阅读相关段落"),
    "refusal_calibrated": ("Refusal calibrated: {languages}", "拒答已校准：{languages}"),
    "refusal_off": ("Refusal: switched off in domain.toml", "拒答：已在 domain.toml 中关闭"),
    "refusal_rates": (
        "{language}: calibrated on {questions} training questions. Of those that it should refuse it answers "
        "{false_answers} ({unsure_answers} marked as unsure), of those that it should answer it refuses "
        "{false_refusals} (cross-validated).",
        "{language}：用 {questions} 个训练问题校准。该拒答的问题中有 {false_answers} 仍会回答"
        "（其中 {unsure_answers} 标为“不确定”），该回答的问题中有 {false_refusals} 会被拒答（交叉验证）。",
    ),
    "refusal_uncalibrated": ("Refusal not calibrated: {languages}", "拒答未校准：{languages}"),
    "refusal_unknown_rates": (
        "{language}: too few training questions, so nobody knows how often it errs.",
        "{language}：训练问题太少，出错的频率未知。",
    ),
    "answer_anyway": ("Answer all the same", "仍然回答"),
    "check_negation": (
        'Check: "{sentence}" and its source differ in a "not".',
        "请核对：“{sentence}”与来源在“不”字上有出入。",
    ),
    "check_numbers": (
        "Check: {numbers} stands in no passage that was read.",
        "请核对：读到的段落里没有 {numbers} 这个数。",
    ),
    "also_found": ("Also found: {place}", "另外找到：{place}"),
    "nearest": ("Nearest passage: {place}", "最接近的段落：{place}"),
    "unsure": ("Unsure", "不确定"),
    "unsure_help": (
        "The passages found may not answer this question; read the sources below.",
        "找到的段落未必能回答这个问题，请查看下面的原文。",
    ),
    "refused": ("Not in the documents", "文档中没有"),
    "reload": ("Read the domain again", "重新读取领域"),
    "reload_help": (
        "After a change of domain.toml, or after `lorewright index`.",
        "在修改 domain.toml 或运行 `lorewright index` 之后使用。",
    ),
    "seconds": ("{seconds} s", "{seconds} 秒"),
    "sheet": ("sheet {sheet}", "工作表“{sheet}”"),
    "slide": ("slide {slide}", "第 {slide} 张幻灯片"),
    "source": ("Text of the source", "来源原文"),
    "stop": ("Stop", "停止"),
    "try_again": ("Try again", "重试"),
    "unproved": (
        "No source: none of the passages that were read says this.",
        "没有来源：读到的段落里没有一段这样说。",
    ),
}
"""Maps each key to its English and Chinese text; :func:`words` fills in ``{names}``."""


def words(language: str, key: str, /, **values: object) -> str:
    """The text of one key in a language of :data:`LANGUAGES`."""
    return WORDS[key][list(LANGUAGES).index(language)].format(**values)


def language_of_browser(locale: str | None) -> str:
    """The language of :data:`LANGUAGES` for a browser locale such as ``zh-CN``; English if unknown."""
    return "zh" if (locale or "").lower().startswith("zh") else "en"
