// The page: its panels, sheets and filters.

function rowsTable(panel, found) {
  const heads = [
    ...panel.dimensions.map((dimension, n) => ({ label: dimension.label, at: (row) => row.keys[n],
      text: (row) => named(dimension, row.keys[n]), kind: dimension.part === "whole" && dimension.unit === "text" ? "text" : "" })),
    ...panel.measures.map((measure, n) => ({ label: measure.label, at: (row) => row.values[n],
      text: (row) => written(measure.unit, row.values[n]),
      kind: ["instant", "day", "text"].includes(measure.unit) ? "" : "number-cell",
      bad: (row) => measure.bad && row.values[n] > 0 })),
  ];
  let { rows } = found;
  const by = sorted.get(panel.id);
  if (by) {
    rows = [...found.all].sort((a, b) => {
      const [one, other] = [heads[by.column].at(a), heads[by.column].at(b)];
      const words = typeof one === "string" && typeof other === "string";
      const sign = words ? collator.compare(one, other) : compare(one, other);
      return one === null || other === null ? sign : sign * (by.descending ? -1 : 1);
    }).slice(0, rows.length);
  }
  const head = heads.map(({ label, kind }, n) => {
    const current = by?.column === n ? (by.descending ? "descending" : "ascending") : undefined;
    const button = element("button", { type: "button" }, label + (current ? (by.descending ? " ↓" : " ↑") : ""));
    button.onclick = async () => {
      sorted.set(panel.id, { column: n, descending: !(by?.column === n && by.descending) });
      await draw(panel);
      document.querySelectorAll(`#panel-${panel.id} th button`)[n].focus();
    };
    return element("th", { class: kind, scope: "col", "aria-sort": current }, button);
  });
  for (const one of heads) one.long = one.kind === "text" && rows.some((row) => one.text(row).length > 40);
  const cell = (row, { label, text, kind, bad, long }) => {
    const said = bad?.(row) ? `● ${text(row)}` : text(row);
    const kinds = [kind, bad?.(row) && "bad", long && "long"];
    return element("td", { "data-label": label, class: kinds.filter(Boolean).join(" ") || undefined }, said);
  };
  const body = rows.map((row) => element("tr", {}, ...heads.map((head) => cell(row, head))));
  return element("div", { class: "rows", tabindex: 0, role: "region", "aria-label": panel.title }, element("table", {},
    element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...body)));
}

async function draw(panel) {
  const place = document.getElementById(`panel-${panel.id}`);
  views.get(panel.id)?.finalize();
  views.delete(panel.id);
  const found = KINDS[panel.kind](panel);
  drawn.set(panel.id, found ? { rows: found.rows } : { reason: reason(panel) });
  const head = element("header", {}, element("h2", {}, panel.title));
  const said = element("p", { class: "subtitle" }, panel.subtitle);
  place.dataset.state = found ? "drawn" : drawn.get(panel.id).reason.why;
  const scoped = [scope(panel, place.dataset.state)].filter(Boolean).map((text) => element("p", { class: "scope" }, text));
  if (!found) {
    const { title, text } = drawn.get(panel.id).reason;
    place.replaceChildren(head, said, ...scoped, element("p", { class: "reason" }, element("b", {}, title), text));
    return;
  }
  if (panel.kind === "figure") {
    const { value } = found.rows[0], measure = panel.measures[0];
    const text = Math.abs(value) >= 1e7 && measure.unit === "count" ? compact.format(value) : written(measure.unit, value);
    const bad = measure.bad && value > 0 ? " bad" : "";
    place.replaceChildren(head, element("p", { class: `number${bad}`, title: written(measure.unit, value) }, text), said, ...scoped);
    return;
  }
  const left = found.left ?? (found.all.length - found.rows.length);
  const more = left ? [element("p", { class: "scope" }, `${whole.format(left)} more not shown.`)] : [];
  if (panel.kind === "table") {
    place.replaceChildren(head, said, ...scoped, rowsTable(panel, found), ...more);
    return;
  }
  const plotted = element("div", { class: "plot", role: "img", "aria-label": `${panel.title}. ${panel.subtitle}` });
  place.replaceChildren(head, said, ...scoped, legend(panel, found), plotted, ...more);
  const laid = layout(panel, found, plotted.clientWidth);
  plotted.style.minHeight = `${laid.least}px`;
  // By then all panels of a row have their least height: the row's is the highest of these.
  await null;
  await plot(panel, found, plotted, laid);
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
  for (const { id } of sheets) document.getElementById(`sheet-${id}`).hidden = id !== sheet;
  for (const button of document.querySelectorAll("nav button")) {
    if (button.dataset.sheet === sheet) button.setAttribute("aria-current", "page");
    else button.removeAttribute("aria-current");
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
    const button = element("button", { type: "button", "data-sheet": id }, title);
    button.onclick = () => show(id);
    return button;
  }));
  document.getElementById("main").replaceChildren(...sheets.map(section));
}

function section({ id, title, subtitle, panels: ids }) {
  const made = element("section", { id: `sheet-${id}`, class: "sheet", "aria-label": title },
    element("p", {}, subtitle, " ", element("span", { class: "note" })));
  const own = ids.map((panel) => byId.get(panel));
  const box = (panel, wide) => element("article",
    { id: `panel-${panel.id}`, class: `panel ${panel.kind}${wide ? " wide" : ""}` });
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

const form = document.getElementById("choice");
let span;

const wholeSpan = () => choice.from <= span[0] && choice.to >= span[1];

function spanOfDays() {
  let first = Infinity, last = -Infinity;
  for (const panel of panels.filter((p) => p.filters.includes("day"))) {
    for (const day of columnOf(panel, "day")) {
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
  const today = Math.floor(about.at / DAY);
  return first <= last ? [first, last] : [today, today];
}

function options(name, values, all) {
  const select = form.elements[name];
  const wanted = values.includes(choice[name]) ? choice[name] : "";
  select.replaceChildren(element("option", { value: "" }, all),
    ...values.map((value) => element("option", { value }, value)));
  select.value = choice[name] = wanted;
}

const inOrder = (values) => [...new Set(values)].filter((v) => v !== null).sort(collator.compare);

function apis() {
  const found = new Set();
  const seen = new Set();
  for (const panel of panels.filter((p) => p.filters.includes("api_name"))) {
    if (seen.has(panel.frame)) continue;
    seen.add(panel.frame);
    const names = columnOf(panel, "api_name");
    const organizations = columnOf(panel, "organization");
    const environments = panel.filters.includes("environment") ? columnOf(panel, "environment") : null;
    names.forEach((name, i) => {
      if ((!choice.organization || organizations[i] === choice.organization) &&
          (!choice.environment || !environments || environments[i] === choice.environment)) found.add(name);
    });
  }
  return found;
}

function showChoice() {
  options("organization", inOrder([
    ...data.environments.map((place) => place.organization),
    ...data.coverage.map((entry) => entry.organization)]), "All");
  options("environment", inOrder(data.environments
    .filter((place) => !choice.organization || place.organization === choice.organization)
    .map((place) => place.environment)), "All");
  options("api_name", inOrder(apis()), "All");
  showDates();
}

function showDates() {
  for (const [name, value] of [["from", choice.from], ["to", choice.to]]) {
    const control = form.elements[name];
    // To write what is there already would disturb who is typing.
    if (control.value !== dayText(value)) control.value = dayText(value);
    control.min = dayText(span[0]);
    control.max = dayText(span[1]);
  }
  for (const button of spans()) {
    const days = Number(button.dataset.days);
    // More days than there are would be All.
    button.hidden = days > span[1] - span[0];
    button.setAttribute("aria-pressed", isNewest(days));
  }
}

const spans = () => form.querySelectorAll("[data-days]");
const since = (days) => (days ? Math.max(span[0], span[1] - days + 1) : span[0]);
const isNewest = (days) => choice.to === span[1] && choice.from === since(days);

function dayOf(text, otherwise) {
  const at = Date.parse(`${text}T00:00:00Z`);
  return Number.isNaN(at) ? otherwise : at / DAY;
}

async function choose(change) {
  choice = { ...choice, ...change };
  if (choice.from > choice.to) {
    if ("from" in change) choice.to = choice.from; else choice.from = choice.to;
  }
  showChoice();
  remember();
  await drawSheet();
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
  for (const name of CHOICES) if (choice[name]) words.set(name, choice[name]);
  // The newest days stay the newest in a file that is drawn tomorrow.
  const newest = [FIRST_DAYS, ...[...spans()].map((button) => Number(button.dataset.days))].find(isNewest);
  if (newest === undefined) for (const name of ["from", "to"]) words.set(name, dayText(choice[name]));
  else if (newest !== FIRST_DAYS) words.set("days", newest);
  if (theme) words.set("theme", theme);
  const text = String(words);
  history[how](null, "", location.href.split("#")[0] + (text && `#${text}`));
}

function recall() {
  const words = new URLSearchParams(location.hash.slice(1));
  const within = (name, otherwise) =>
    Math.min(Math.max(dayOf(words.get(name), otherwise), span[0]), span[1]);
  sheet = (sheets.find(({ id }) => id === words.get("sheet")) ?? sheets[0]).id;
  choice = { from: within("from", since(Number(words.get("days") ?? FIRST_DAYS))), to: within("to", span[1]) };
  for (const name of CHOICES) choice[name] = words.get(name) ?? "";
  if (choice.from > choice.to) choice.from = choice.to;
  theme = words.get("theme");
  dress();
  showChoice();
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
    if (validity.valid) choose({ [name]: isDate ? dayOf(value, choice[name]) : value });
  });
  form.addEventListener("focusout", showDates);
  for (const button of spans()) {
    button.onclick = () => choose({ to: span[1], from: since(Number(button.dataset.days)) });
  }
  addEventListener("popstate", () => { recall(); drawSheet(); });
  matchMedia("screen and (max-width: 760px)").addEventListener("change", drawSheet);
  wants.addEventListener("change", () => { dress(); drawSheet(); });
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
  choose, show,
  sheets: sheets.map(({ id, panels: ids }) => ({ id, panels: ids })),
  shown: (id) => drawn.get(id),
  failures: () => failures,
  ready: start().catch((error) => {
    failures += 1;
    document.getElementById("main").textContent = `This file cannot be shown: ${error.message}`;
    throw error;
  }),
};
