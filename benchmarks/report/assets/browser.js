// The list of chains. Only the rows in view are in the page; every text is inserted as text, never as HTML.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const list = $("list");
  const rows = $("rows");
  const detail = $("detail");
  const OVERSCAN = 6;
  const CELLS = 48;
  const FILTERS = ["search", "suite", "split", "verdict", "error", "located", "chosen"];
  const narrow = matchMedia("(max-width: 60rem)");
  const state = { order: [], active: 0, rowHeight: 1, shown: new Map(), texts: null, timer: 0 };

  // ---- properties of a chain

  const scale = () => data.scorers[Number($("scorer").value)] ?? null;
  const scoresOf = (chain, scorer = Number($("scorer").value)) => chain.scores[scorer] ?? null;
  const firstError = (chain) => (chain.truth === null ? -1 : chain.truth.indexOf("0"));
  const lengthOf = (chain) => chain.steps.reduce((sum, step) => sum + step.length, 0);
  const problemOf = (chain) => data.problems[chain.problem];
  const wordsOf = (chain) => data.suites[chain.suite].words;
  const unit = data.suites.every((suite) => suite.trees) ? "tree" : data.suites.some((suite) => suite.trees) ? "row" : "chain";

  /** Score of a chain: its reward, or its lowest step score; null without scores. */
  function chainScore(chain, scorer) {
    const scores = (scoresOf(chain, scorer) ?? []).filter((score) => score !== null);
    return scores.length ? Math.min(...scores) : null;
  }

  /** Index of the first step that scores below the threshold; -1 if none does. */
  function called(chain) {
    if (scale() === null || scale().outcome) return -1;
    const threshold = Number($("threshold").value);
    return (scoresOf(chain) ?? []).findIndex((score) => score !== null && score < threshold);
  }

  function show(score) {
    if (score === null || score === undefined) return "–";
    const text = Math.abs(score) >= 100 ? score.toFixed(0) : score.toFixed(2);
    return text.replace("-", "−");
  }

  // ---- filters and order

  const TESTS = {
    search: (chain, words, index) => words.split(/\s+/).filter(Boolean).every((word) => textOf(index).includes(word)),
    suite: (chain, value) => chain.suite === Number(value),
    split: (chain, value) => chain.split === Number(value),
    verdict: (chain, value) => chain.right === { right: true, wrong: false, unknown: null }[value],
    error: (chain, value) => errorKind(chain) === value,
    located: (chain, value) => location(chain) === value,
    chosen: (chain, value) => chain.chosen.includes(Number(value)),
  };

  function errorKind(chain) {
    if (chain.truth === null || !/[01]/.test(chain.truth)) return "unknown";
    return firstError(chain) >= 0 ? "with" : "without";
  }

  /** "hit", "miss" or "alarm"; "" if scorer and truth agree on no error, or either is missing. */
  function location(chain) {
    if (errorKind(chain) === "unknown" || scoresOf(chain) === null || scale().outcome) return "";
    if (firstError(chain) < 0) return called(chain) < 0 ? "" : "alarm";
    return called(chain) === firstError(chain) ? "hit" : "miss";
  }

  /** Searchable text of a chain, in lower case; the first search builds those of all chains. */
  function textOf(index) {
    state.texts ??= data.chains.map((chain) => {
      const problem = problemOf(chain);
      const steps = chain.tree ? chain.tree.map((node) => node.text) : chain.steps;
      return [chain.id, problem.id, problem.text, problem.answer ?? "", ...steps].join("\n").toLowerCase();
    });
    return state.texts[index];
  }

  function chainsInView() {
    const set = FILTERS.map((name) => [TESTS[name], $(name).value.toLowerCase().trim()]).filter(([, value]) => value !== "");
    const kept = data.chains.map((_, index) => index);
    return sorted(kept.filter((index) => set.every(([test, value]) => test(data.chains[index], value, index))));
  }

  function sorted(indexes) {
    const keys = {
      low: (chain) => chainScore(chain) ?? Infinity,
      high: (chain) => -(chainScore(chain) ?? -Infinity),
      short: lengthOf,
      long: (chain) => -lengthOf(chain),
    };
    const key = keys[$("order").value];
    if (!key) return indexes;
    const values = new Map(indexes.map((index) => [index, key(data.chains[index])]));
    return indexes.sort((a, b) => values.get(a) - values.get(b) || a - b);
  }

  // ---- elements

  function make(tag, name = "", text = "") {
    const element = document.createElement(tag);
    if (name) element.className = name;
    if (text) element.textContent = text;
    return element;
  }

  /** Color an element by a score: by its distance from the middle, toward either end. */
  function tint(element, score) {
    const { low, middle, high } = scale();
    if (score === null || score === undefined) return;
    const [end, side] = score < middle ? [low, "low"] : [high, "high"];
    const share = end === middle ? 0 : Math.min(1, (score - middle) / (end - middle));
    element.classList.add(side);
    element.style.setProperty("--share", share.toFixed(3));
  }

  function verdict(chain) {
    const [right, wrong] = wordsOf(chain);
    if (chain.right === null) return make("span", "verdict", "not judged");
    return chain.right ? make("span", "verdict right", `✓ ${right}`) : make("span", "verdict wrong", `✗ ${wrong}`);
  }

  function chosenMark(chain) {
    const names = chain.chosen.map((place) => data.selectors[place]);
    return make("span", "chosen", names.length > 1 ? `★ chosen by ${names.length}` : `★ ${names[0]}`);
  }

  /** One small square per step, colored by its score; the first error is underlined. */
  function strip(chain) {
    const line = make("span", "strip");
    const scores = scoresOf(chain) ?? [];
    line.setAttribute("aria-hidden", "true");
    chain.steps.slice(0, CELLS).forEach((_, step) => {
      const cell = make("i", step === firstError(chain) ? "error" : "");
      if (scale() && !scale().outcome) tint(cell, scores[step]);
      line.append(cell);
    });
    if (chain.steps.length > CELLS) line.append(make("small", "", `+${chain.steps.length - CELLS}`));
    return line;
  }

  // ---- the list

  function row(position) {
    const chain = data.chains[state.order[position]];
    const element = make("div", "row");
    const score = make("span", "score", show(chainScore(chain)));
    if (scale()) tint(score, chainScore(chain));
    const head = make("span", "row-head");
    head.append(make("span", "id", chain.id), verdict(chain), ...(chain.chosen.length ? [chosenMark(chain)] : []), score);
    element.append(head, make("span", "snippet", problemOf(chain).text.slice(0, 200)), strip(chain));
    element.id = `row-${position}`;
    element.setAttribute("role", "option");
    element.setAttribute("aria-posinset", position + 1);
    element.setAttribute("aria-setsize", state.order.length);
    element.style.transform = `translateY(${position * state.rowHeight}px)`;
    element.addEventListener("click", () => open(position, false));
    return element;
  }

  /** Insert the rows in view and a few around them; remove all others. */
  function renderRows() {
    const first = Math.max(0, Math.floor(list.scrollTop / state.rowHeight) - OVERSCAN);
    const last = Math.min(
      state.order.length, Math.ceil((list.scrollTop + list.clientHeight) / state.rowHeight) + OVERSCAN);
    for (const [position, element] of state.shown) {
      if (position < first || position >= last) {
        element.remove();
        state.shown.delete(position);
      }
    }
    for (let position = first; position < last; position++) {
      if (!state.shown.has(position)) state.shown.set(position, rows.appendChild(row(position)));
    }
    markActive();
  }

  function markActive() {
    for (const [position, element] of state.shown) element.setAttribute("aria-selected", position === state.active);
    if (state.shown.has(state.active)) list.setAttribute("aria-activedescendant", `row-${state.active}`);
    else list.removeAttribute("aria-activedescendant");
  }

  /** Rebuild all rows, for other chains, another scorer or another font size. */
  function renderList() {
    state.shown.forEach((element) => element.remove());
    state.shown.clear();
    if (state.order.length) {
      const probe = rows.appendChild(row(0));
      state.rowHeight = probe.getBoundingClientRect().height || 1;
      probe.remove();
    }
    rows.style.height = `${state.order.length * state.rowHeight}px`;
    renderRows();
  }

  function reveal(position) {
    const top = position * state.rowHeight;
    if (top < list.scrollTop) list.scrollTop = top;
    else if (top + state.rowHeight > list.scrollTop + list.clientHeight) {
      list.scrollTop = top + state.rowHeight - list.clientHeight;
    }
  }

  function select(position) {
    if (!state.order.length) return;
    state.active = Math.max(0, Math.min(state.order.length - 1, position));
    reveal(state.active);
    renderRows();
    renderDetail();
  }

  /** Show a chain; where only one pane fits, it replaces the list. */
  function open(position, withFocus) {
    select(position);
    $("browser").dataset.view = "chain";
    if (withFocus || narrow.matches) detail.focus({ preventScroll: !narrow.matches });
    detail.scrollTop = 0;
  }

  function close() {
    $("browser").dataset.view = "list";
    renderRows();
    list.focus();
  }

  // ---- one chain

  function renderDetail() {
    const chain = data.chains[state.order[state.active]];
    if (!chain) return detail.replaceChildren(make("p", "note", "No chain matches. Clear the filters to see all."));
    const back = make("button", "back", `← All ${unit}s`);
    back.type = "button";
    back.addEventListener("click", close);
    const body = chain.tree ? tree(chain) : steps(chain);
    detail.replaceChildren(back, ...heading(chain), ...problem(chain), ...body, ...candidates(chain));
    detail.scrollTop = 0;
  }

  function heading(chain) {
    const marks = make("p", "marks");
    marks.append(verdict(chain));
    for (const place of chain.chosen) marks.append(make("span", "chosen", `★ ${data.selectors[place]}`));
    if (errorKind(chain) === "without") marks.append(make("span", "verdict", "no wrong step"));
    const split = data.splits[chain.split];
    const size = chain.tree ? ends(chain) : [count(chain.steps.length, "step"), count(lengthOf(chain), "character")];
    const facts = [data.suites[chain.suite].name, split, ...size];
    return [make("h3", "id", chain.id), make("p", "quiet", facts.filter(Boolean).join(" · ")), marks, allScores(chain)];
  }

  const count = (n, what) => `${n.toLocaleString("en")} ${what}${n === 1 ? "" : "s"}`;

  /** How the chains of a tree ended. */
  function ends(chain) {
    const all = chain.tree.map((node) => node.ends).join("");
    const of = (mark) => all.split(mark).length - 1;
    return [count(all.length, "chain"), `${of("1")} right`, of("-") ? `${of("-")} given up` : ""];
  }

  /** The chain's score from every scorer. */
  function allScores(chain) {
    const box = make("dl", "all-scores");
    data.scorers.forEach((scorer, place) => {
      const pair = make("div", place === Number($("scorer").value) ? "current" : "");
      pair.append(
        make("dt", "", `${scorer.name}, ${scorer.outcome ? "reward" : "lowest step"}`),
        make("dd", "", show(chainScore(chain, place))));
      box.append(pair);
    });
    return box;
  }

  function problem(chain) {
    const { text, answer } = problemOf(chain);
    const parts = [make("h4", "", "Problem"), marked(make("p", "text"), text)];
    if (answer !== null) {
      const line = marked(make("p", "gold"), answer);
      line.prepend(make("span", "quiet", "Gold answer "));
      parts.push(line);
    }
    return parts;
  }

  function steps(chain) {
    if (!chain.steps.length) return [make("h4", "", "Steps"), make("p", "quiet", "None: the text is empty.")];
    const all = make("ol", "steps");
    const within = withinFormula(chain.steps);
    chain.steps.forEach((text, place) => all.append(step(chain, text, place, within[place])));
    return [make("h4", "", "Steps"), all];
  }

  function step(chain, text, place, isWithin) {
    const item = make("li", "step");
    const head = make("div", "step-head");
    const score = scale() && !scale().outcome ? (scoresOf(chain) ?? [])[place] : undefined;
    head.append(make("span", "number", `Step ${place + 1}`), ...stepMarks(chain, place));
    if (score !== undefined) {
      tint(item, score);
      head.append(make("span", "score", show(score)));
    }
    item.append(head, marked(make("p", "text"), isWithin ? displayed(text) : text, text));
    return item;
  }

  function stepMarks(chain, place) {
    const marks = [];
    const truth = chain.truth?.[place];
    if (truth === "1") marks.push(make("span", "verdict right", "✓ right"));
    if (truth === "0") marks.push(make("span", "verdict wrong", "✗ wrong"));
    if (truth === "?") marks.push(make("span", "verdict", "not judged"));
    if (place === firstError(chain)) marks.push(make("span", "flag", "first error"));
    if (place === called(chain)) marks.push(make("span", "flag called", `first below ${$("threshold").value}`));
    return marks;
  }

  // ---- the tree of a search: one chain from top to bottom, with the alternatives to each step folded beneath it

  const FEW = 3;
  const builders = new WeakMap();

  function tree(chain) {
    const first = [];
    const below = chain.tree.map(() => []);
    chain.tree.forEach((node, place) => (node.parent < 0 ? first : below[node.parent]).push(place));
    const box = make("div", "tree");
    box.append(path(chain, first, below));
    return [make("h4", "", "The chosen chain, and the alternatives to its steps"), unfolder(box), box];
  }

  /** A button that opens all that is folded. */
  function unfolder(box) {
    const button = make("button", "unfold", "Open all branches");
    button.type = "button";
    button.hidden = !box.querySelector("details");
    button.addEventListener("click", () => {
      for (let fold; (fold = box.querySelector("details:not([open])")); ) build(fold).open = true;
    });
    return button;
  }

  /** The first of these steps, then the first that follows it, to the end of a chain. */
  function path(chain, places, below) {
    const all = make("ol", "steps");
    for (let next = places; next.length; next = below[next[0]]) {
      const [place, ...others] = next;
      all.append(treeStep(chain.tree[place], depthOf(chain, place)));
      if (others.length) all.append(instead(chain, others, below));
    }
    return all;
  }

  const depthOf = (chain, place) => (chain.tree[place].parent < 0 ? 0 : 1 + depthOf(chain, chain.tree[place].parent));
  const scoreOf = (node) => node.scores[Number($("scorer").value)] ?? null;

  function treeStep(node, depth) {
    const item = make("li", node.left ? "step left" : "step");
    const head = make("div", "step-head");
    head.append(make("span", "number", `Step ${depth + 1}`));
    if (node.chains > 1) head.append(make("span", "number", count(node.chains, "chain")));
    if (node.truth === "1") head.append(make("span", "verdict right", "✓ right"));
    if (node.truth === "0") head.append(make("span", "verdict wrong", "✗ wrong"));
    if (scoreOf(node) !== null) {
      tint(item, scoreOf(node));
      head.append(make("span", "score", show(scoreOf(node))));
    }
    item.append(head, marked(make("p", "text"), node.text));
    if (node.ends) item.append(endMarks(node));
    return item;
  }

  /** How the chains that end with a step ended. */
  function endMarks(node) {
    const line = make("p", "marks");
    if (node.chosen) line.append(make("span", "flag", "★ chosen"));
    for (const [mark, name, text] of ENDS) {
      const times = node.ends.split(mark).length - 1;
      if (times) line.append(make("span", name, times > 1 ? `${times} × ${text}` : text));
    }
    return line;
  }

  const ENDS = [
    ["1", "verdict right", "✓ right answer"],
    ["0", "verdict wrong", "✗ wrong answer"],
    ["?", "verdict", "not judged"],
    ["-", "verdict", "given up"],
  ];

  /** The alternatives to a step, each to be opened; a few are listed from the start. */
  function instead(chain, places, below) {
    const item = make("li", "instead");
    const strip = make("span", "strip");
    strip.setAttribute("aria-hidden", "true");
    places.slice(0, CELLS).forEach((place) => {
      const cell = make("i", chain.tree[place].left ? "left" : "");
      if (scale()) tint(cell, scoreOf(chain.tree[place]));
      strip.append(cell);
    });
    const fold = folded("", [make("span", "", count(places.length, "alternative")), strip], () => {
      const all = make("ul", "branches");
      all.append(...places.map((place) => branch(chain, place, below)));
      return all;
    });
    if (places.length <= FEW) build(fold).open = true;
    item.append(fold);
    return item;
  }

  function branch(chain, place, below) {
    const node = chain.tree[place];
    const score = make("span", "score", show(scoreOf(node)));
    if (scale()) tint(score, scoreOf(node));
    const text = make("span", "snippet", node.text.slice(0, 200));
    const size = make("span", "number", node.left ? "given up" : count(node.chains, "chain"));
    const item = make("li", node.left ? "left" : "");
    item.append(folded("branch", [score, text, size], () => path(chain, [place], below)));
    return item;
  }

  /** Details whose content is built when they are opened. */
  function folded(name, heading, content) {
    const fold = make("details", name);
    const summary = make("summary");
    summary.append(...heading);
    fold.append(summary);
    builders.set(fold, content);
    fold.addEventListener("toggle", () => build(fold));
    return fold;
  }

  function build(fold) {
    const content = builders.get(fold);
    if (content) fold.append(content());
    builders.delete(fold);
    return fold;
  }

  /** All chains of the problem, highest score first. */
  function candidates(chain) {
    const same = data.chains.filter((other) => other.problem === chain.problem);
    if (same.length < 2) return [];
    same.sort((a, b) => (chainScore(b) ?? -Infinity) - (chainScore(a) ?? -Infinity));
    const all = make("ol", "candidates");
    same.forEach((other) => all.append(candidate(other, other === chain)));
    const what = chain.tree ? "trees" : "chains";
    return [make("h4", "", `All ${same.length} ${what} of this problem, highest score first`), all];
  }

  function candidate(chain, isCurrent) {
    const button = make("button");
    const score = make("span", "score", show(chainScore(chain)));
    if (scale()) tint(score, chainScore(chain));
    button.type = "button";
    button.append(score, verdict(chain), make("span", "id", chain.id), ...(chain.chosen.length ? [chosenMark(chain)] : []));
    if (isCurrent) button.setAttribute("aria-current", "true");
    button.addEventListener("click", () => jumpTo(chain));
    const item = make("li");
    item.append(button);
    return item;
  }

  /** Show a chain, even one that the filters hide. */
  function jumpTo(chain) {
    const index = data.chains.indexOf(chain);
    if (!state.order.includes(index)) {
      clearFilters();
      refresh(true);
    }
    select(state.order.indexOf(index));
  }

  // ---- text: formulas, and the search terms marked

  /** LaTeX between dollars (as pandoc reads them), \( \), \[ \], of a displayed environment, or a box. */
  const FORMULA = new RegExp([
    String.raw`\$\$[^$]+\$\$`,
    String.raw`\\\[[\s\S]+?\\\]`,
    String.raw`\\\([\s\S]+?\\\)`,
    String.raw`\\begin\{(equation|align|gather|alignat|multline)(\*?)\}[\s\S]+?\\end\{\1\2\}`,
    String.raw`\\boxed\{(?:[^{}]|\{[^{}]*\})*\}`,
    String.raw`(?<![\\$])\$(?!\s)(?:[^$\\]|\\[\s\S])+?(?<!\s)\$(?!\d)`,
  ].join("|"), "g");
  const LONGEST = 4000;

  /** Whether each step is the inside of a displayed formula, which an earlier step opens and a later one closes. */
  function withinFormula(steps) {
    const within = steps.map(() => false);
    let opened = -1;
    steps.forEach((text, place) => {
      for (const [mark] of text.matchAll(/\\\[|\\\]|\$\$/g)) {
        const closes = opened >= 0 && mark !== "\\[";
        if (closes) within.fill(true, opened + 1, place);
        opened = closes || mark === "\\]" ? -1 : place;
      }
    });
    return within;
  }

  /** A step within a formula, as a formula of its own; as it is, if that cannot be drawn. */
  const displayed = (text) => (formula(`\\[${text}\\]`) ? `\\[${text}\\]` : text);

  /** Put text into an element, with its formulas drawn and the search terms marked; `plain` is shown without formulas. */
  function marked(target, text, plain = text) {
    const words = $("search").value.trim().split(/\s+/).filter(Boolean);
    if (!$("math").checked || hasWord(plain, words) && plain !== text) text = plain;
    let from = 0;
    for (const match of $("math").checked ? text.matchAll(FORMULA) : []) {
      const drawn = hasWord(match[0], words) ? null : formula(match[0]);
      if (!drawn) continue;
      appendMarked(target, text.slice(from, match.index), words);
      target.append(drawn);
      from = match.index + match[0].length;
    }
    appendMarked(target, text.slice(from), words);
    return target;
  }

  const hasWord = (text, words) => words.some((word) => text.toLowerCase().includes(word.toLowerCase()));

  /** The formula as MathML, built of nodes; null if it is not LaTeX that can be drawn, and then its text is shown. */
  function formula(source) {
    if (source.length > LONGEST) return null;
    const isDisplayed = /^(\$\$|\\\[|\\begin)/.test(source);
    const inner = /^\\(begin|boxed)/.test(source) ? source : source.replace(/^(\$\$?|\\[[(])|(\$\$?|\\[\])])$/g, "");
    const box = make("span", "formula");
    try {
      temml.render(inner, box, { displayMode: isDisplayed, throwOnError: true, maxSize: [10, 20], maxExpand: 200 });
    } catch {
      return null;
    }
    box.title = source;
    return box;
  }

  function appendMarked(target, text, words) {
    if (!words.length) return target.append(text);
    const pattern = new RegExp(`(${words.map((word) => word.replace(/[^\p{L}\p{N}\s]/gu, "\\$&")).join("|")})`, "gi");
    text.split(pattern).forEach((part, place) => target.append(place % 2 ? make("mark", "", part) : part));
  }

  // ---- controls

  function fill(id, names, any) {
    const options = names.map((name, place) => new Option(name, place));
    $(id).replaceChildren(...(any ? [new Option("any", "")] : []), ...options);
    $(id).closest(".field").hidden = names.length < (any ? 2 : 1);
  }

  function fillControls() {
    fill("scorer", data.scorers.map((scorer) => scorer.name), false);
    fill("suite", data.suites.map((suite) => suite.name), true);
    fill("split", data.splits, true);
    fill("chosen", data.selectors, true);
    $("split-label").textContent = { chain: "Split", row: "Split or run", tree: "Run" }[unit];
    const isJudged = data.chains.some((chain) => chain.truth !== null);
    for (const id of ["error", "located", "threshold"]) $(id).closest(".field").hidden = !isJudged;
    $("more-filters").open = !narrow.matches;
  }

  /** Apply the scale of the chosen scorer; an outcome scorer disables everything about steps. */
  function showScorer() {
    const own = scale();
    if (own === null) return;
    $("threshold").value = own.outcome ? "" : own.middle;
    if (own.outcome) $("located").value = "";
    for (const id of ["threshold", "located"]) $(id).disabled = own.outcome;
    const bar = make("span", "ramp");
    bar.setAttribute("aria-hidden", "true");
    $("scale").replaceChildren(make("span", "", show(own.low)), bar, make("span", "", show(own.high)));
    $("scale").title = own.outcome ? "Colors of rewards" : "Colors of step scores";
  }

  /** Rebuild the list and start at its top; with `keeps`, at the current chain if it is still in the list. */
  function refresh(keeps) {
    const before = state.order[state.active];
    clearTimeout(state.timer);
    state.order = chainsInView();
    state.active = keeps ? Math.max(0, state.order.indexOf(before)) : 0;
    list.scrollTop = 0;
    $("status").textContent = `${state.order.length.toLocaleString("en")} of ${count(data.chains.length, unit)}`;
    $("reset").hidden = FILTERS.every((name) => $(name).value === "");
    renderList();
    reveal(state.active);
    renderDetail();
  }

  function clearFilters() {
    for (const name of FILTERS) $(name).value = "";
  }

  /** Refresh once input pauses; an earlier `refresh` takes its place. */
  function soon(keeps) {
    clearTimeout(state.timer);
    state.timer = setTimeout(refresh, 120, keeps);
  }

  // ---- keys

  const page = () => Math.max(1, Math.floor(list.clientHeight / state.rowHeight) - 1);
  const MOVES = {
    ArrowDown: () => state.active + 1,
    ArrowUp: () => state.active - 1,
    PageDown: () => state.active + page(),
    PageUp: () => state.active - page(),
    Home: () => 0,
    End: () => state.order.length - 1,
  };

  function onListKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in MOVES) select(MOVES[event.key]());
    else if (event.key === "Enter") open(state.active, true);
    else return;
    event.preventDefault();
  }

  function onSearchKey(event) {
    if (event.key !== "Enter" && event.key !== "ArrowDown") return;
    event.preventDefault();
    refresh(false);
    list.focus();
  }

  function isInView() {
    const { top, bottom } = $("browser").getBoundingClientRect();
    return top < innerHeight && bottom > 0;
  }

  /** Keys that work wherever the focus is; j and k only while the list is in view. */
  function onKey(event) {
    if (event.key === "Escape" && $("browser").contains(event.target)) return close();
    const isTyping = event.target.matches?.("input:not([type=checkbox]), select, textarea");
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey || !$("shortcuts").checked) return;
    if (event.key === "/") $("search").focus();
    else if (event.key === "j" && isInView()) select(state.active + 1);
    else if (event.key === "k" && isInView()) select(state.active - 1);
    else return;
    event.preventDefault();
  }

  function listen() {
    let frame = 0;
    list.addEventListener("scroll", () => {
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        renderRows();
      });
    }, { passive: true });
    new ResizeObserver(() => renderList()).observe(list);
    $("filters").addEventListener("input", (event) => {
      if (event.target.id === "scorer") showScorer();
      soon(event.target.id === "scorer");
    });
    $("math").addEventListener("input", renderDetail);
    $("filters").addEventListener("submit", (event) => event.preventDefault());
    $("reset").addEventListener("click", () => {
      clearFilters();
      refresh(true);
    });
    list.addEventListener("keydown", onListKey);
    $("search").addEventListener("keydown", onSearchKey);
    document.addEventListener("keydown", onKey);
  }

  fillControls();
  showScorer();
  $("browser").hidden = false;
  refresh(false);
  listen();
  performance.mark("chains listed");
})();
