"""Where a model puts its answer: boxes, tags, headings and sentences around it."""

from __future__ import annotations

from random import Random

BOXES = (
    r"\boxed{%s}",
    r"\boxed{%s}",
    r"\boxed{%s}",
    r"So the answer is $\boxed{%s}$.",
    "Adding them up, we get the result.\n\n\\[\\boxed{%s}\\]",
    r"Therefore, \(\boxed{%s}\).",
    "$$\\boxed{%s}$$\n\nThis completes the solution.",
    r"\fbox{%s}",
    r"\boxed{ %s }",
    r"<think>Let me see. Maybe 7?</think> \boxed{%s}",
    r"所以答案是 \boxed{%s}。",
    "**Final Answer**\n\n$\\boxed{%s}$<|im_end|>",
)
SENTENCES = (
    "#### %s",
    "We work it out step by step.\n#### %s",
    "<answer>%s</answer>",
    "<think>It could be 3.</think>\n<answer>\n%s\n</answer>",
    "The answer is %s",
    "Answer: %s",
    "**Answer:** %s",
    "Final answer: %s",
    "%s",
)
MATH = ("The answer is $%s$.", "**Final Answer**: $%s$", r"The final answer is \(%s\).", "#### $%s$")
DISTRACTORS = (
    "At first I thought it was %s, but that is wrong. ",
    "One might guess $%s$. That overlooks a case. ",
    "\\[\\boxed{%s}\\] is what we get if we forget the condition. Corrected: ",
)


def marked(r: Random, answer: str, distractor: str = "", boxed: bool = False) -> str:
    """The answer as a model would give it; some outputs mention `distractor` before, and take it back."""
    plain = "$" not in answer
    roll = 1.0 if boxed else r.random()
    if roll < 0.15 and "\n" not in answer:
        text = r.choice(SENTENCES) % answer
    elif roll < 0.3 and plain and "\n" not in answer:
        text = r.choice(MATH) % answer
    else:
        text = r.choice(BOXES) % answer
        if distractor and "$" not in distractor and r.random() < 0.1:
            return r.choice(DISTRACTORS) % distractor + text
    return text


def gold_marked(r: Random, gold: str) -> str:
    """The gold as data sets have it: mostly bare, sometimes in dollar signs or a box."""
    if "$" in gold or r.random() < 0.8:
        return gold
    return r.choice((f"${gold}$", f"\\boxed{{{gold}}}"))
