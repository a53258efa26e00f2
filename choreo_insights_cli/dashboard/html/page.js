// The page: its panels, sheets and filters.

async function draw(panel) {
  const place = document.getElementById(`panel-${panel.id}`);
  const found = KINDS[panel.kind](panel);
  drawn.set(panel.id, found ? { rows: found.rows } : { reason: reason(panel) });
  const head = element("header", {}, element("h2", { id: `title-${panel.id}` }, panel.title));
  const said = element("p", { class: "subtitle" }, panel.subtitle);
  place.dataset.state = found ? "drawn" : drawn.get(panel.id).reason.why;
  const scoped = [scope(panel, place.dataset.state)].filter(Boolean).map((text) => element("p", { class: "scope" }, text));
  if (!found) {
    const { title, text } = drawn.get(panel.id).reason;
    place.replaceChildren(head, said, ...scoped, element("p", { class: "reason" }, element("b", {}, title), text));
    return;
  }
  // Figures are to be taken away as well: a report quotes them.
  const file = element("button", { type: "button", class: "csv", "aria-label": `${panel.title} as CSV` }, "CSV");
  file.onclick = () => takeAway(panel);
  head.append(file);
  if (panel.kind === "figure") {
    place.replaceChildren(head, ...tile(panel, found), said, ...scoped);
    return;
  }
  if (panel.kind === "table") {
    const compared = panel.compares ? [element("p", { class: "scope" }, against(found.earlier))] : [];
    place.replaceChildren(head, said, ...scoped, ...compared, ...rowsTable(panel, found));
    return;
  }
  const left = [found.left && `${whole.format(found.left)} more are in the table.`,
    found.hidden && `${whole.format(found.hidden)} more columns are in the table.`].filter(Boolean).join(" ");
  const more = left ? [element("p", { class: "scope" }, left)] : [];
  const plotted = element("div", { class: "plot" });
  place.replaceChildren(head, said, ...scoped, legend(panel, found), plotted, ...more, asTable(panel));
  const [least, most] = layout(panel, found, plotted.clientWidth);
  plotted.style.minHeight = `${least}px`;
  // By then all panels of a row have their least height: the row's is the highest of these.
  await null;
  plot(panel, found, plotted, most);
}

// What a table of two spans compares with, or why with nothing.
function against(earlier) {
  if (earlier) return `Before: ${daysText(earlier)}.`;
  return choice.to < today ? "Not compared: the days before are not in this file."
    : "Not compared: today is among the days chosen.";
}

function tile(panel, found) {
  const { value } = found.rows[0], measure = panel.measures[0];
  const text = Math.abs(value) >= 1e7 && measure.unit === "count" ? compact.format(value) : written(measure.unit, value);
  const bad = measure.bad && value > 0 ? " bad" : "";
  const made = [element("p", { class: `number${bad}`, title: written(measure.unit, value) }, text)];
  const by = found.was === null ? null : change(measure.unit, value, found.was);
  if (by) made.push(element("p", { class: "change" }, element("b", {}, by), ` from ${written(measure.unit, found.was)} in ${daysText(found.earlier)}`));
  const target = targetOf(panel);
  if (target) made.push(element("p", { class: "change" }, target.text));
  return made;
}

// What cannot be drawn says so in its place: an empty chart would look like no traffic.
function fail(panel, error) {
  failures += 1;
  console.error(error);
  const place = document.getElementById(`panel-${panel.id}`);
  place.dataset.state = "failed";
  place.replaceChildren(element("header", {}, element("h2", {}, panel.title)),
    element("p", { class: "reason" }, element("b", {}, "This panel could not be drawn"),
      `${error?.message ?? error}. The data is there; please report this.`));
}

// Changes that come while a sheet is drawn are drawn together after it.
let drawing = Promise.resolve(), next = null;
function drawSheet() {
  next ??= drawing.then(() => {
    next = null;
    return (drawing = drawNow());
  });
  return next;
}

async function drawNow() {
  const current = sheets.find(({ id }) => id === sheet);
  bubble.hidden = true;
  for (const { id } of sheets) document.getElementById(`sheet-${id}`).hidden = id !== sheet;
  for (const made of document.querySelectorAll("nav button")) {
    if (made.dataset.sheet === sheet) made.setAttribute("aria-current", "page");
    else made.removeAttribute("aria-current");
  }
  const own = current.panels.map((id) => byId.get(id));
  common = commonGaps(own);
  document.querySelector(`#sheet-${sheet} .note`).textContent = [filling(), common].filter(Boolean).join(" ");
  const results = await Promise.allSettled(own.map(draw));
  results.forEach(({ status, reason: error }, n) => {
    if (status === "rejected") fail(own[n], error);
  });
  document.body.dataset.drawn = sheet;
}

// --- The frame of the page

function build() {
  document.getElementById("about").append(...(about.note ? [element("strong", {}, about.note), " · "] : []),
    `${about.source} · drawn ${about.drawn} UTC`);
  const nav = document.getElementById("sheets");
  nav.append(...sheets.map(({ id, title }) => {
    const made = element("button", { type: "button", "data-sheet": id }, title);
    made.onclick = () => show(id);
    return made;
  }));
  document.getElementById("main").replaceChildren(...sheets.map(section));
  document.body.append(bubble);
}

function section({ id, title, subtitle, panels: ids }) {
  const made = element("section", { id: `sheet-${id}`, class: "sheet", "aria-label": title },
    element("p", {}, subtitle, " ", element("span", { class: "note" })));
  const own = ids.map((panel) => byId.get(panel));
  const box = (panel, wide) => element("article",
    { id: `panel-${panel.id}`, class: `panel ${panel.kind}${wide ? " wide" : ""}`, "aria-labelledby": `title-${panel.id}` });
  let charts = [];
  const flush = () => {
    // Of an odd number the first takes the whole width.
    if (charts.length) made.append(element("div", { class: "charts" },
      ...charts.map((panel, n) => box(panel, charts.length % 2 === 1 && n === 0))));
    charts = [];
  };
  const figures = own.filter(({ kind }) => kind === "figure");
  if (figures.length) made.append(element("div", { class: "figures" }, ...figures.map((panel) => box(panel))));
  for (const panel of own) {
    if (panel.kind === "table") {
      flush();
      made.append(element("div", { class: "charts" }, box(panel, true)));
    } else if (panel.kind !== "figure") charts.push(panel);
  }
  flush();
  return made;
}

// --- What is chosen

const form = document.getElementById("choice");

const wholeSpan = () => choice.from <= span[0] && choice.to >= span[1];

function spanOfDays() {
  let first = Infinity, last = -Infinity;
  const seen = new Set();
  for (const panel of panels.filter((p) => p.filters.includes("day"))) {
    if (seen.has(panel.frame)) continue;
    seen.add(panel.frame);
    for (const day of columnOf(panel, "day").values) {
      if (day < first) first = day;
      if (day > last) last = day;
    }
  }
  for (const { days } of data.coverage) {
    for (const [from, to] of days) {
      if (from < first) first = from;
      if (to > last) last = to;
    }
  }
  return first <= last ? [first, last] : [today, today];
}

// The days of each span by its id, as they are in every span of this project.
function daysOf(id) {
  const month = (day, by) => {
    const at = new Date(day * DAY);
    return Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + by, 1) / DAY;
  };
  switch (id) {
    case "today": return { from: today, to: today };
    case "yesterday": return { from: today - 1, to: today - 1 };
    case "last_7_days": return { from: today - 7, to: today - 1 };
    case "this_month": return { from: month(today, 0), to: today };
    case "last_month": return { from: month(today, -1), to: month(today, 0) - 1 };
    case "all": return { from: span[0], to: span[1] };
    default: return null;
  }
}

const isThere = (days) => days && days.from <= span[1] && days.to >= span[0];

function options(name, values, all, text = String) {
  const select = form.elements[name];
  const wanted = values.includes(choice[name]) ? choice[name] : "";
  select.replaceChildren(element("option", { value: "" }, all),
    ...values.map((value) => element("option", { value }, text(value))));
  select.value = choice[name] = wanted;
}

const inOrder = (values, text = String) => [...new Set(values)].filter((v) => v !== null)
  .sort((a, b) => collator.compare(text(a), text(b)));
const dimensionOf = (column) => ({ column, part: "whole", unit: "text", absent: "(none)", known: [], ...filters[column] });
const textOf = (column) => (value) => named(dimensionOf(column), value);
const filterText = (name) => textOf(name)(choice[name]);

function showChoice() {
  options("organization", inOrder([
    ...data.environments.map((place) => place.organization),
    ...data.coverage.map((entry) => entry.organization)]), "All");
  options("environment", inOrder(data.environments
    .filter((place) => !choice.organization || place.organization === choice.organization)
    .map((place) => JSON.stringify([place.environment, place.organization])), textOf("environment")), "All", textOf("environment"));
  options("api_name", inOrder(keysOf("api_name"), textOf("api_name")), "All", textOf("api_name"));
  showDates();
  showSpans();
  showChips();
}

function showDates() {
  for (const [name, value] of [["from", choice.from], ["to", choice.to]]) {
    const control = form.elements[name];
    // To write what is there already would disturb who is typing.
    if (control.value !== dayText(value)) control.value = dayText(value);
    control.min = dayText(Math.min(span[0], choice.from));
    control.max = dayText(Math.max(span[1], today, choice.to));
  }
}

function showSpans() {
  const select = form.elements.span;
  select.replaceChildren(...spans.map(({ id, label: name }) => {
    const days = daysOf(id);
    return element("option", { value: id, disabled: id !== "custom" && !isThere(days) },
      days && id !== "all" ? `${name} (${daysText(days)})` : name);
  }));
  select.value = choice.span;
}

// What is chosen beside the days, each to be taken away.
function showChips() {
  const chips = chosen().map((name) => {
    const text = `${filters[name].label}: ${filterText(name)}`;
    const made = element("button", { type: "button", class: "chip", "aria-label": `Remove the filter ${text}` },
      text, element("span", { "aria-hidden": true }, " ✕"));
    made.onclick = async () => {
      await choose({ [name]: "" });
      (document.querySelector(".chip") ?? form.elements.organization).focus();
    };
    return made;
  });
  document.getElementById("chips").replaceChildren(...chips);
}

function dayOf(text, otherwise) {
  const at = Date.parse(`${text}T00:00:00Z`);
  return Number.isNaN(at) ? otherwise : at / DAY;
}

async function choose(change, how = "pushState") {
  choice = { ...choice, ...change };
  if ("span" in change) Object.assign(choice, daysOf(change.span));
  else if ("from" in change || "to" in change) choice.span = "custom";
  if (choice.from > choice.to) {
    if ("from" in change) choice.to = choice.from; else choice.from = choice.to;
  }
  showChoice();
  remember(how);
  await drawSheet();
}

// Chooses what a mark stands for, or all again.
function toggle(pick) {
  return choose(isPicked(pick) ? Object.fromEntries(Object.keys(pick).map((name) => [name, ""])) : pick);
}

async function show(id) {
  if (id !== sheet) {
    sheet = id;
    remember("pushState");
  }
  await drawSheet();
}

// What is chosen is in the address: for a reload, a bookmark, and the way back.
function remember(how = "replaceState") {
  const words = new URLSearchParams();
  if (sheet !== sheets[0].id) words.set("sheet", sheet);
  for (const name of chosen()) words.set(name, choice[name]);
  // The same span in a file that is drawn tomorrow is of other days.
  if (choice.span === "custom") for (const name of ["from", "to"]) words.set(name, dayText(choice[name]));
  else if (choice.span !== firstSpan()) words.set("span", choice.span);
  if (theme) words.set("theme", theme);
  const text = String(words);
  const address = location.href.split("#")[0] + (text && `#${text}`);
  history[address === location.href ? "replaceState" : how](null, "", address);
}

// The last full week where there is something of it, else all.
const firstSpan = () => (isThere(daysOf("last_7_days")) && span[0] <= today - 7 ? "last_7_days" : "all");

function recall() {
  const words = new URLSearchParams(location.hash.slice(1));
  const within = (name, otherwise) =>
    Math.min(Math.max(dayOf(words.get(name), otherwise), span[0]), Math.max(span[1], today));
  sheet = (sheets.find(({ id }) => id === words.get("sheet")) ?? sheets[0]).id;
  const named = spans.find(({ id }) => id === words.get("span") && id !== "custom")?.id;
  const custom = !named && (words.has("from") || words.has("to"));
  choice = { span: custom ? "custom" : named ?? firstSpan() };
  const start = daysOf(custom ? "all" : choice.span);
  Object.assign(choice, custom ? { from: within("from", start.from), to: within("to", start.to) } : start);
  for (const name of new Set([...CHOICES, ...Object.keys(filters)])) choice[name] = words.get(name) ?? "";
  if (choice.from > choice.to) choice.from = choice.to;
  for (const name of Object.keys(keys)) if (choice[name] && !isKey(name, choice[name])) choice[name] = "";
  theme = words.get("theme");
  dress();
  showChoice();
}

function isKey(name, text) {
  try {
    const key = JSON.parse(text);
    return Array.isArray(key) && key.length === keys[name].length + 1;
  } catch {
    return false;
  }
}

// The reader's own choice, else what the device wants.
let theme = null;
const wants = matchMedia("(prefers-color-scheme: dark)");
function dress() {
  document.documentElement.dataset.theme = theme ?? (wants.matches ? "dark" : "light");
}

function listen() {
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", ({ target: { name, value, validity } }) => {
    const isDate = name === "from" || name === "to";
    // While a year is typed, its first digits are a year too.
    if (validity.valid) choose({ [name]: isDate ? dayOf(value, choice[name]) : value }, isDate ? "replaceState" : "pushState");
  });
  form.addEventListener("focusout", showDates);
  addEventListener("popstate", () => { recall(); drawSheet(); });
  addEventListener("keydown", ({ key }) => { if (key === "Escape") bubble.hidden = true; });
  matchMedia("screen and (max-width: 760px)").addEventListener("change", drawSheet);
  wants.addEventListener("change", () => { dress(); drawSheet(); });
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth !== width) { width = innerWidth; drawSheet(); }
  });
  document.getElementById("theme").onclick = () => {
    theme = dark() ? "light" : "dark";
    dress();
    remember();
    drawSheet();
  };
}

async function start() {
  data = await unpack();
  span = spanOfDays();
  listen();
  build();
  recall();
  await drawSheet();
}

// For tests, and for whoever wants the figures.
window.dashboard = {
  choose, show, csv: (id) => csv(byId.get(id)),
  sheets: sheets.map(({ id, panels: ids }) => ({ id, panels: ids })),
  shown: (id) => drawn.get(id),
  failures: () => failures,
  ready: start().catch((error) => {
    failures += 1;
    document.getElementById("main").textContent = `This file cannot be shown: ${error.message}`;
    throw error;
  }),
};
