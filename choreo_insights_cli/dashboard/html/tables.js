// Tables: a panel's own, the one that says the same as a chart, and CSV.

// A panel's columns and all of its rows, as filtered: what a file of it holds.
function everyRow(panel) {
  const dimensions = panel.kind === "table" ? panel.dimensions : [panel.x, panel.y, panel.series].filter(Boolean);
  const heads = [], cells = [];
  const add = (name, at) => { heads.push(name); cells.push(at); };
  const there = new Set(dimensions.map((dimension) => dimension.column));
  dimensions.forEach((dimension, n) => {
    if (Object.hasOwn(keys, dimension.column)) {
      const parsed = ({ keys: of }) => (of[n] === null ? [] : JSON.parse(of[n]));
      add(dimension.label, (row) => parsed(row)[0] ?? dimension.absent);
      keys[dimension.column].forEach((part, p) => {
        if (there.has(part)) return;
        there.add(part);
        add(filters[part]?.label ?? "Version", (row) => parsed(row)[p + 1] ?? "");
      });
    } else add(dimension.label, (row) => named(dimension, row.keys[n]));
  });
  panel.measures.forEach((measure, n) => add(measure.unit === "percent" ? `${measure.label} (%)`
    : measure.unit === "ms" ? `${measure.label} (ms)` : measure.label,
  (row) => (["day", "instant"].includes(measure.unit) ? written(measure.unit, row.values[n]) : row.values[n])));
  const rows = aggregated(panel, dimensions).filter((row) => panel.kind === "table" || row.values.some((value) => value !== null));
  const sorting = panel.order.length ? panel : { ...panel, order: [] };
  return { heads, rows: ordered(sorting, dimensions, rows).map((row) => cells.map((cell) => cell(row))) };
}

// As in choreo_insights/spreadsheet.py: a spreadsheet takes a text that begins so for a formula.
const FORMULA = /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/;
function csvCell(value) {
  if (value === null || value === undefined) return "";
  const text = typeof value === "string" && FORMULA.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function csv(panel) {
  const { heads, rows } = everyRow(panel);
  return [heads, ...rows].map((cells) => `${cells.map(csvCell).join(",")}\n`).join("");
}

function takeAway(panel) {
  const days = panel.filters.includes("day") ? `-${dayText(choice.from)}-${dayText(choice.to)}` : "";
  // A spreadsheet takes a file without this mark for one in an older encoding.
  const url = URL.createObjectURL(new Blob(["\ufeff", csv(panel)], { type: "text/csv" }));
  const link = element("a", { href: url, download: `${panel.id.replaceAll("_", "-")}${days}.csv` });
  link.click();
  URL.revokeObjectURL(url);
}

// The columns of a panel's table: what a row has there, as text, and what it stands for.
function tableHeads(panel, found) {
  const heads = panel.dimensions.map((dimension, n) => ({ label: dimension.label, at: (row) => row.keys[n],
    text: (row) => named(dimension, row.keys[n], panel), pick: (row) => picks(dimension, row.keys[n]),
    kind: dimension.part === "whole" && dimension.unit === "text" ? "text" : "" }));
  panel.measures.forEach((measure, n) => {
    const kind = ["instant", "day", "text"].includes(measure.unit) ? "" : "number-cell";
    heads.push({ label: measure.label, at: (row) => row.values[n], text: (row) => written(measure.unit, row.values[n]),
      kind, bad: (row) => measure.bad && row.values[n] > 0 });
    if (measure.share) heads.push({ label: `${measure.label}, share`, at: (row) => row.values[n],
      text: (row) => share(row.values[n] ?? 0, found.totals[n]), kind });
    if (panel.compares && found.earlier) {
      heads.push({ label: `${measure.label}, before`, at: (row) => row.was[n], text: (row) => written(measure.unit, row.was[n]), kind });
      heads.push({ label: `${measure.label}, change`, kind, text: (row) => change(measure.unit, row.values[n], row.was[n]) ?? "–",
        at: (row) => (row.values[n] === null || row.was[n] === null ? null : measure.unit === "percent"
          ? row.values[n] - row.was[n] : row.was[n] ? row.values[n] / row.was[n] : null) });
    }
  });
  return heads;
}

function rowsTable(panel, found) {
  const heads = tableHeads(panel, found), by = sorted.get(panel.id);
  let rows = found.all;
  const wanted = (searched.get(panel.id) ?? "").toLowerCase();
  if (wanted) rows = rows.filter((row) => heads.some((head) => head.text(row).toLowerCase().includes(wanted)));
  if (by && heads[by.column]) {
    const { at, text, kind } = heads[by.column];
    rows = [...rows].sort((a, b) => {
      const [one, other] = [at(a), at(b)];
      const sign = kind === "text" ? collator.compare(text(a), text(b)) : compare(one, other);
      return one === null || other === null ? sign : sign * (by.descending ? -1 : 1);
    });
  }
  const all = opened.has(panel.id), most = all ? rows.length : Math.min(rows.length, panel.top ?? rows.length);
  const shown = rows.slice(0, most);
  const head = heads.map(({ label, kind }, n) => sortButton(panel, label, kind, n, by));
  for (const one of heads) one.long = one.kind === "text" && shown.some((row) => one.text(row).length > 40);
  const cell = (row, { label, text, kind, bad, long, pick }) => {
    const said = bad?.(row) ? `● ${text(row)}` : text(row), chooses = pick?.(row);
    const kinds = [kind, bad?.(row) && "bad", long && "long"];
    return element("td", { "data-label": label, class: kinds.filter(Boolean).join(" ") || undefined },
      chooses ? button([said], chooses, said) : said);
  };
  const body = shown.map((row) => {
    const made = element("tr", {}, ...heads.map((one) => cell(row, one)));
    const first = heads.map(({ pick }) => pick?.(row)).find(Boolean);
    if (first) {
      made.classList.add("pick");
      // The buttons in it are for the keyboard, and for the other columns.
      made.onclick = (event) => { if (!event.target.closest("button") && !String(getSelection())) toggle(first); };
    }
    return made;
  });
  const table = element("div", { class: "rows", tabindex: 0, role: "region", "aria-label": panel.title }, element("table", {},
    element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...body)));
  return [...tableTools(panel, found.all.length, rows.length, shown.length, wanted), table];
}

function sortButton(panel, label, kind, n, by) {
  const current = by?.column === n ? (by.descending ? "descending" : "ascending") : undefined;
  const arrow = element("span", { class: "arrow", "aria-hidden": true }, current ? (by.descending ? "↓" : "↑") : "↕");
  const made = element("button", { type: "button" }, label, " ", arrow);
  made.onclick = () => {
    // Numbers from the most, words from A.
    const descending = by?.column === n ? !by.descending : kind !== "text";
    again(panel, () => sorted.set(panel.id, { column: n, descending }), `th:nth-child(${n + 1}) button`);
  };
  return element("th", { class: kind, scope: "col", "aria-sort": current }, made);
}

function tableTools(panel, all, found, shown, wanted) {
  if (all <= FEW) return [];
  const input = element("input", { type: "search", value: searched.get(panel.id) ?? "", "aria-label": `Search in ${panel.title}`, placeholder: "Search" });
  input.oninput = () => again(panel, () => searched.set(panel.id, input.value), "[type=search]");
  const said = wanted ? `${whole.format(found)} of ${whole.format(all)} rows` : `${whole.format(all)} rows`;
  const tools = [input, element("span", { class: "scope", role: "status" },
    shown < found ? `${whole.format(shown)} of ${whole.format(found)} rows` : said)];
  if (panel.top && found > panel.top) {
    const more = element("button", { type: "button", class: "all" }, opened.has(panel.id) ? `Show ${panel.top} rows` : `Show all ${whole.format(found)} rows`);
    more.onclick = () => again(panel, () => { if (!opened.delete(panel.id)) opened.add(panel.id); }, ".all");
    tools.push(more);
  }
  return [element("div", { class: "tools" }, ...tools)];
}

// Draws a panel again after a change of its own, and keeps the focus.
async function again(panel, act, at) {
  act();
  await draw(panel);
  const found = document.querySelector(`#panel-${panel.id} ${at}`);
  found?.focus();
  if (found?.type === "search") found.setSelectionRange(found.value.length, found.value.length);
}

// What a chart shows, as a table: for who sees no chart, and for exact figures.
function asTable(panel) {
  const made = element("details", { class: "as-table" }, element("summary", {}, "Table"));
  made.addEventListener("toggle", () => {
    if (!made.open || made.querySelector("table")) return;
    const { heads, rows } = everyRow(panel), most = 500;
    const number = (cell) => (typeof cell === "number" ? "number-cell" : undefined);
    const said = (cell) => (cell === null ? "–" : typeof cell === "number" ? whole.format(Math.round(cell * 100) / 100) : cell);
    const body = rows.slice(0, most).map((cells) => element("tr", {},
      ...cells.map((cell, n) => element("td", { class: number(cell), "data-label": heads[n] }, said(cell)))));
    made.append(element("div", { class: "rows", tabindex: 0, role: "region", "aria-label": `${panel.title}, as a table` },
      element("table", {}, element("thead", {}, element("tr", {}, ...heads.map((head, n) =>
        element("th", { scope: "col", class: number(rows[0]?.[n]) }, head)))), element("tbody", {}, ...body))),
    ...(rows.length > most ? [element("p", { class: "scope" }, `The first ${most} of ${whole.format(rows.length)} rows; CSV has all.`)] : []));
  });
  return made;
}
