"use strict";
// Filters the frames by the reader's choices, adds them up, and draws each panel of a sheet.

(() => {
  const HOUR = 3600e3, DAY = 24 * HOUR;
  const { sheets, panels, charts, palette, rest, scales, hoursUpToDays, about } =
    JSON.parse(document.getElementById("description").textContent);
  const byId = new Map(panels.map((panel) => [panel.id, panel]));
  const WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
  const OTHER = "Other";
  let data, choice, sheet = sheets[0].id, failures = 0;
  const drawn = new Map(), views = new Map(), colours = new Map(), sorted = new Map();

  // --- The data

  async function unpack() {
    const packed = Uint8Array.from(
      atob(document.getElementById("data").textContent), (c) => c.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    const found = JSON.parse(await new Response(stream).text());
    for (const frame of Object.values(found.frames)) {
      for (const column of Object.values(frame)) {
        const texts = column.texts;
        if (texts) column.values = column.values.map((n) => (n === null ? null : texts[n]));
      }
    }
    return found;
  }

  const columnOf = (panel, name) => data.frames[panel.frame][name].values;

  function selected(panel) {
    const tests = panel.only.map((only) => [columnOf(panel, only.column), (v) => v === only.value]);
    for (const name of ["organization", "environment", "api_name"]) {
      if (panel.filters.includes(name) && choice[name]) {
        tests.push([columnOf(panel, name), (v) => v === choice[name]]);
      }
    }
    if (panel.filters.includes("day")) {
      tests.push([columnOf(panel, "day"), (v) => v >= choice.from && v <= choice.to]);
    }
    const count = Object.values(data.frames[panel.frame])[0].values.length;
    const found = [];
    for (let i = 0; i < count; i++) {
      if (tests.every(([values, test]) => test(values[i]))) found.push(i);
    }
    return found;
  }

  const coarse = () => choice.to - choice.from + 1 > hoursUpToDays;

  // What a dimension makes of a value of its column; instants are milliseconds.
  function part(dimension, value) {
    switch (dimension.part) {
      case "hour": return coarse() ? Math.floor(value / 24) * DAY : value * HOUR;
      case "day": return value * DAY;
      case "month": {
        const day = new Date(value * DAY);
        return Date.UTC(day.getUTCFullYear(), day.getUTCMonth(), 1);
      }
      case "hour of day": return value % 24;
      case "weekday": return ((value + 3) % 7) + 1;
      default: return value === null || value === "" ? null : value;
    }
  }

  const ADD = {
    sum: (a, b) => a + b,
    count: (a, b) => a + b,
    max: (a, b) => (a > b ? a : b),
    min: (a, b) => (a < b ? a : b),
  };

  function result(measure, sums) {
    const [first, ...whole] = measure.columns.map((column) => sums[column] ?? null);
    if (measure.aggregation !== "percent") return first;
    const total = whole.reduce((a, b) => a + (b ?? 0), 0);
    return first === null || !total ? null : (100 * first) / total;
  }

  // The rows of a panel: {keys, values}, a key for each dimension and a value for each measure.
  function aggregated(panel, dimensions) {
    const keyColumns = dimensions.map((dimension) => columnOf(panel, dimension.key));
    const names = [...new Set(panel.measures.flatMap((measure) => measure.columns))];
    const valueColumns = names.map((name) => columnOf(panel, name));
    const given = panel.rows_given;
    const groups = new Map();
    for (const i of selected(panel)) {
      const keys = dimensions.map((dimension, n) => part(dimension, keyColumns[n][i]));
      const id = given ? i : JSON.stringify(keys);
      let group = groups.get(id);
      if (!group) groups.set(id, (group = { keys, sums: {} }));
      names.forEach((name, n) => {
        const value = valueColumns[n][i];
        if (value === null) return;
        const add = ADD[name.split(":")[0]];
        group.sums[name] = name in group.sums ? add(group.sums[name], value) : value;
      });
    }
    return [...groups.values()].map(({ keys, sums }) => ({
      keys, values: panel.measures.map((measure) => result(measure, sums)),
    }));
  }

  const compare = (a, b) => {
    if (a === b) return 0;
    if (a === null || a === undefined) return 1;
    if (b === null || b === undefined) return -1;
    return a < b ? -1 : 1;
  };

  function ordered(panel, dimensions, rows) {
    const labels = [...dimensions.map((d) => d.label), ...panel.measures.map((m) => m.label)];
    const at = (row, n) => (n < dimensions.length ? row.keys[n] : row.values[n - dimensions.length]);
    const orders = panel.order.map((order) => [labels.indexOf(order.by), order.descending]);
    return rows.sort((one, other) => {
      for (const [n, descending] of orders) {
        const [a, b] = [at(one, n), at(other, n)];
        const found = compare(a, b);
        // What is not there comes last either way.
        if (found) return descending && a !== null && b !== null ? -found : found;
      }
      return one.keys.map((key, n) => compare(key, other.keys[n])).find(Boolean) ?? 0;
    });
  }

  // --- Words for values

  const whole = new Intl.NumberFormat("en");
  const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 2 });
  const fixed = (digits) => new Intl.NumberFormat("en", {
    minimumFractionDigits: digits, maximumFractionDigits: digits });
  const two = fixed(2), one = fixed(1);
  const iso = (ms) => new Date(ms).toISOString();
  const dayText = (day) => iso(day * DAY).slice(0, 10);

  function written(unit, value) {
    if (value === null || value === undefined) return "–";
    switch (unit) {
      case "percent": return `${two.format(value)} %`;
      case "ms": return `${value < 100 ? one.format(value) : whole.format(Math.round(value))} ms`;
      case "hours": return value < 48 ? `${one.format(value)} h` : `${one.format(value / 24)} days`;
      case "day": return dayText(value);
      case "instant": return iso(value).slice(0, 16).replace("T", " ");
      default: return typeof value === "number" ? whole.format(value) : String(value);
    }
  }

  function named(dimension, value) {
    if (value === null || value === undefined) return dimension.absent;
    switch (dimension.part) {
      case "hour": return iso(value).slice(0, coarse() ? 10 : 16).replace("T", " ");
      case "day": return iso(value).slice(0, 10);
      case "month": return iso(value).slice(0, 7);
      case "hour of day": return String(value).padStart(2, "0");
      case "weekday": return WEEKDAYS[value - 1];
      default:
        if (dimension.unit === "day") return dayText(value);
        return dimension.known.find((known) => known.value === value)?.label ?? String(value);
    }
  }

  // --- Colours: a value keeps its own whatever is chosen

  function rankOf(panel) {
    const id = `${panel.frame}/${panel.series.key}`;
    if (!colours.has(id)) {
      const totals = new Map();
      const keys = columnOf(panel, panel.series.key);
      const values = columnOf(panel, panel.measures[0].columns[0]);
      keys.forEach((key, i) => totals.set(key, (totals.get(key) ?? 0) + (values[i] ?? 0)));
      const names = [...totals.keys()].sort((a, b) => totals.get(b) - totals.get(a) || compare(a, b));
      colours.set(id, new Map(names.filter((n) => n !== OTHER).map((name, n) => [name, n])));
    }
    return colours.get(id);
  }

  function coloured(panel, keys) {
    const found = new Map();
    if (!panel.series) {
      panel.measures.forEach((measure, n) => found.set(measure.label, measure.colour ?? palette[n]));
      return found;
    }
    const ranks = rankOf(panel), taken = new Set();
    for (const key of keys) {
      const known = panel.series.known.find((value) => value.value === key);
      let colour = known?.colour ?? (key === OTHER ? rest : palette[ranks.get(key)]);
      if (!colour || (!known && taken.has(colour))) {
        colour = palette.find((free) => !taken.has(free)) ?? rest;
      }
      taken.add(colour);
      found.set(named(panel.series, key), colour);
    }
    return found;
  }

  // --- What each kind of panel draws: {rows, ...}, or null where there is nothing to see

  function figure(panel) {
    const rows = aggregated(panel, []);
    const value = rows.length ? rows[0].values[0] : null;
    return value === null ? null : { rows: [{ value, label: panel.measures[0].label }] };
  }

  function table(panel) {
    const rows = ordered(panel, panel.dimensions, aggregated(panel, panel.dimensions));
    const all = rows.length;
    return all ? { rows: panel.top ? rows.slice(0, panel.top) : rows, all } : null;
  }

  const additive = (panel) =>
    panel.measures.every((measure) => ["sum", "count"].includes(measure.aggregation));

  // Long form: a row for each time and series, or for each time and measure.
  function series(panel) {
    const dimensions = panel.series ? [panel.x, panel.series] : [panel.x];
    const rows = aggregated(panel, dimensions).flatMap(({ keys, values }) =>
      panel.series
        ? [{ x: keys[0], key: keys[1], value: values[0] }]
        : values.map((value, n) => ({ x: keys[0], key: panel.measures[n].label, value })));
    return rows.filter((row) => row.value !== null && !(additive(panel) && row.value === 0));
  }

  function limited(panel, rows, limit) {
    const totals = new Map();
    const add = additive(panel) ? ADD.sum : ADD.max;
    for (const { key, value } of rows) {
      totals.set(key, totals.has(key) ? add(totals.get(key), value) : value);
    }
    const names = [...totals.keys()].filter((key) => key !== OTHER)
      .sort((a, b) => totals.get(b) - totals.get(a) || compare(a, b));
    const kept = new Set(names.slice(0, limit));
    const left = names.length - kept.size;
    if (!additive(panel)) return { rows: rows.filter((row) => kept.has(row.key)), keys: [...kept], left };
    const sums = new Map();
    for (const { x, key, value } of rows) {
      const to = kept.has(key) ? key : OTHER, id = JSON.stringify([x, to]);
      const there = sums.get(id);
      if (there) there.value += value; else sums.set(id, { x, key: to, value });
    }
    const keys = left || totals.has(OTHER) ? [...kept, OTHER] : [...kept];
    return { rows: [...sums.values()], keys, left: 0 };
  }

  function overTime(panel) {
    const raw = series(panel);
    if (!raw.length) return null;
    let { rows, keys, left } = { rows: raw, keys: panel.measures.map((m) => m.label), left: 0 };
    if (panel.series) {
      const known = panel.series.known.map((value) => value.value);
      const there = new Set(raw.map((row) => row.key));
      if (known.length && [...there].every((key) => known.includes(key))) {
        keys = known.filter((key) => there.has(key));
      } else {
        ({ rows, keys, left } = limited(panel, raw, panel.top_series ?? palette.length));
      }
    }
    const name = (key) => (panel.series ? named(panel.series, key) : key);
    const step = panel.x.part === "hour" && !coarse() ? HOUR : DAY;
    const byTime = new Map();
    for (const row of rows) {
      if (!byTime.has(row.x)) byTime.set(row.x, new Map());
      byTime.get(row.x).set(row.key, row.value);
    }
    const times = [...byTime.keys()].sort((a, b) => a - b);
    const unit = panel.measures[0].unit;
    const hover = times.map((x) => {
      const tip = { title: named(panel.x, x) };
      for (const key of keys) if (byTime.get(x).has(key)) tip[name(key)] = written(unit, byTime.get(x).get(key));
      return { x0: x, x1: x + step, tip };
    });
    const marks = panel.kind === "line"
      ? lineMarks(byTime, times, keys, name, step) : stackMarks(byTime, times, keys, name, step);
    // A day's name stands below the middle of its marks; an hour's bar begins where it is named.
    if (panel.kind === "line") shift(hover, step / 2);
    else if (step === DAY) { shift(hover, step / 2); shift(marks, step / 2); }
    return { rows: rows.map((row) => ({ ...row, key: name(row.key) })), marks, hover, left, step,
      legend: coloured(panel, keys) };
  }

  function shift(rows, by) {
    for (const row of rows) { row.x0 -= by; row.x1 -= by; }
  }

  function lineMarks(byTime, times, keys, name, step) {
    const marks = [], many = (times.at(-1) - times[0]) / step > 60;
    for (const key of keys) {
      const has = (x) => byTime.get(x)?.has(key) ?? false;
      for (let x = times[0]; x <= times.at(-1); x += step) {
        // A null breaks the line: nothing is known there.
        const alone = !has(x - step) && !has(x + step);
        marks.push({ x0: x, value: byTime.get(x)?.get(key) ?? null, series: name(key),
          dot: has(x) && (!many || alone) });
      }
    }
    return marks;
  }

  function stackMarks(byTime, times, keys, name, step) {
    // Between many thin bars gaps would be a pattern of their own.
    const gap = times.length > 60 ? 0 : step * 0.06;
    return times.flatMap((x) => {
      let from = 0;
      return keys.filter((key) => byTime.get(x).has(key)).map((key) => {
        const y0 = from;
        from += byTime.get(x).get(key);
        return { x0: x + gap, x1: x + step - gap, y0, y1: from, series: name(key) };
      });
    });
  }

  function bars(panel) {
    let rows = aggregated(panel, [panel.x]).filter((row) => row.values[0] !== null);
    if (additive(panel)) rows = rows.filter((row) => row.values[0] !== 0);
    if (!rows.length) return null;
    rows = ordered(panel, [panel.x], rows);
    const left = panel.top ? Math.max(0, rows.length - panel.top) : 0;
    rows = rows.slice(0, panel.top ?? rows.length);
    const measure = panel.measures[0];
    const marks = rows.map(({ keys, values }) => {
      const name = named(panel.x, keys[0]), text = written(measure.unit, values[0]);
      return { x0: name, value: values[0], text, series: measure.label, tip: { title: name, [measure.label]: text } };
    });
    return { rows: rows.map(({ keys, values }) => ({ x: named(panel.x, keys[0]), value: values[0] })),
      marks, left, largest: rows.reduce((most, row) => Math.max(most, row.values[0]), 0),
      colours: new Map([[measure.label, measure.colour ?? palette[0]]]) };
  }

  function heat(panel) {
    const dimensions = [panel.x, panel.y], measure = panel.measures[0];
    const rows = aggregated(panel, dimensions).filter((row) => row.values[0]);
    if (!rows.length) return null;
    const totals = new Map();
    for (const { keys, values } of rows) totals.set(keys[1], (totals.get(keys[1]) ?? 0) + values[0]);
    let down = [...totals.keys()];
    down.sort(panel.order.length ? (a, b) => totals.get(b) - totals.get(a) || compare(a, b) : compare);
    const left = panel.top ? Math.max(0, down.length - panel.top) : 0;
    if (panel.top) down = down.slice(0, panel.top);
    const kept = rows.filter((row) => down.includes(row.keys[1]));
    const across = [...new Set(kept.map((row) => row.keys[0]))].sort(compare);
    const most = Math.max(...kept.map((row) => row.values[0]));
    const light = !dark();
    const marks = kept.map(({ keys, values: [value] }) => ({
      x0: named(panel.x, keys[0]), y0: named(panel.y, keys[1]), value,
      text: across.length <= 9 && innerWidth > 760 || across.length <= 5 ? compact.format(value) : "",
      deep: light === value / most > 0.5,
      tip: { title: named(panel.y, keys[1]), [panel.x.label]: named(panel.x, keys[0]), [measure.label]: written(measure.unit, value) },
    }));
    return { rows: marks.map(({ x0, y0, value }) => ({ x: x0, y: y0, value })), marks, left, most,
      across: across.map((x) => named(panel.x, x)), down: down.map((y) => named(panel.y, y)) };
  }

  const KINDS = { figure, table, line: overTime, stacked: overTime, bar: bars, heatmap: heat };

  // --- Why a panel is empty

  function places() {
    return data.environments.filter((place) =>
      (!choice.organization || place.organization === choice.organization) &&
      (!choice.environment || place.environment === choice.environment));
  }

  // The ledger has no entry of its own: it is there where any table is.
  const ofLedger = (panel) => panel.sources.every((table) => table === "runs" || table === "checks");

  function exported(panel) {
    return data.coverage.some((entry) =>
      (ofLedger(panel) || panel.sources.includes(entry.table)) &&
      (!choice.organization || entry.organization === choice.organization) &&
      (!choice.environment || entry.environment === null || !panel.filters.includes("environment") ||
        entry.environment === choice.environment) &&
      (!panel.filters.includes("day") ||
        entry.days.some(([first, last]) => first <= choice.to && last >= choice.from)));
  }

  function reason(panel) {
    const absent = panel.not_given;
    if (absent?.environment_type && places().length &&
        !places().some((place) => place.type === absent.environment_type)) {
      return { why: "not given", title: "This source gives none", text: absent.reason };
    }
    if (absent?.where_tried && data.coverage.length && !data.coverage.some((entry) =>
      panel.sources.includes(entry.table) &&
      (!choice.organization || entry.organization === choice.organization))) {
      return { why: "not given", title: "This source gives none", text: absent.reason };
    }
    if (!exported(panel)) {
      return { why: "not exported", title: "Not exported yet",
        text: ofLedger(panel) ? panel.nothing
          : `No export of ${panel.sources.join(", ")} in what is chosen. The sheet Data health tells more.` };
    }
    const api = choice.api_name && panel.filters.includes("api_name") ? ` (${choice.api_name})` : "";
    return { why: "nothing happened", title: "Nothing happened", text: panel.nothing + api };
  }

  // --- Drawing

  const dark = () => document.documentElement.dataset.theme === "dark";

  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
    }
    made.append(...children);
    return made;
  }

  function config() {
    const style = getComputedStyle(document.documentElement);
    const of = (name) => style.getPropertyValue(name).trim();
    const font = getComputedStyle(document.body).fontFamily;
    return {
      background: "transparent", font, view: { stroke: null },
      axis: { labelColor: of("--soft"), titleColor: of("--soft"), gridColor: of("--line"),
        domainColor: of("--line"), tickColor: of("--line"), labelFontSize: 11, titleFontSize: 11,
        titleFontWeight: "normal", labelFont: font, titleFont: font },
      // Over a year, lines of the usual width would hide each other.
      line: { strokeWidth: choice.to - choice.from > 120 ? 1 : 2 },
      text: { color: of("--ink"), font, fontSize: 11 },
      scale: { bandPaddingInner: 0.12 },
    };
  }

  // Lists with one word that begins with $ are the page's to fill.
  function fill(spec, words) {
    if (Array.isArray(spec)) {
      if (spec.length === 1 && typeof spec[0] === "string" && spec[0] in words) return words[spec[0]];
      return spec.map((item) => fill(item, words));
    }
    if (spec === null || typeof spec !== "object") return spec;
    return Object.fromEntries(Object.entries(spec).map(([name, item]) => [name, fill(item, words)]));
  }

  async function plot(panel, found, place) {
    const shades = found.legend ?? found.colours ?? new Map();
    // On a narrow screen names must leave room for the marks.
    const narrow = place.clientWidth < 480;
    const crowded = panel.kind === "heatmap" && isCrowded(found.across, place.clientWidth - (narrow ? 120 : 160));
    const spec = fill(charts[panel.id], {
      $ticks: ticks(found, place.clientWidth), $extent: [0, (narrow ? 1.35 : 1.2) * found.largest || 1],
      $coloured: [...shades.keys()], $colours: [...shades.values()],
      $across: found.across ?? [], $down: found.down ?? [], $scale: scales[dark() ? "dark" : "light"],
    });
    // Columns without width at the ends: all charts of a sheet reach over the same dates.
    const ends = found.hover ? timeSpan(found).map((x) => ({ x0: x, x1: x, tip: "" })) : [];
    spec.datasets = { rows: found.marks, hover: [...ends, ...(found.hover ?? [])] };
    if (panel.kind === "bar") spec.height = 24 * found.marks.length + 12;
    if (panel.kind === "heatmap") spec.height = 26 * found.down.length + 48;
    const fitting = JSON.parse(JSON.stringify(spec), (name, value) => {
      if (name === "labelLimit" && narrow) return 125;
      if (name === "labelExpr") return value.replaceAll("$letters", narrow ? "17" : "34");
      return name === "labelAngle" && crowded ? -40 : value;
    });
    const made = await vegaEmbed(place, fitting, {
      mode: "vega-lite", renderer: "svg", actions: false, config: config(),
      tooltip: { theme: dark() ? "dark" : "light" },
    });
    views.set(panel.id, made);
  }

  const isCrowded = (names, width) =>
    Math.max(...names.map((name) => name.length)) * 7 > width / names.length && names.some((n) => n.length > 3);

  // The days chosen as far as there are any, the same for all charts of a sheet.
  function timeSpan(found) {
    const [from, to] = [Math.max(choice.from, span[0]) * DAY, (Math.min(choice.to, span[1]) + 1) * DAY];
    return found.step === DAY ? [from - DAY / 2, to - DAY / 2] : [from, to];
  }

  // Round times, at least a step apart, and no more than have room.
  function ticks(found, width) {
    if (!found.hover) return [];
    const [from, to] = timeSpan(found);
    const room = Math.max(3, width / 75);
    const step = [6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 90 * DAY]
      .filter((size) => size >= found.step).find((size) => (to - from) / size <= room) ?? 180 * DAY;
    const marks = [];
    for (let at = Math.ceil(from / step) * step; at <= to; at += step) marks.push(at);
    return marks;
  }

  function legend(panel, found) {
    if (panel.kind === "heatmap") {
      const ramp = scales[dark() ? "dark" : "light"].join(", ");
      return element("ul", { class: "legend" }, element("li", {}, "0",
        element("i", { class: "ramp", style: `background: linear-gradient(to right, ${ramp})` }),
        `${written(panel.measures[0].unit, found.most)} ${panel.measures[0].label.toLowerCase()}`));
    }
    if (!found.legend || (found.legend.size < 2 && !panel.series)) return "";
    return element("ul", { class: "legend" }, ...[...found.legend].map(([name, colour]) =>
      element("li", {}, element("i", { style: `background: ${colour}` }), element("span", { title: name }, name))));
  }

  function rowsTable(panel, found) {
    const heads = [
      ...panel.dimensions.map((dimension, n) => ({ label: dimension.label, at: (row) => row.keys[n],
        text: (row) => named(dimension, row.keys[n]), kind: dimension.part === "whole" && dimension.unit === "text" ? "text" : "" })),
      ...panel.measures.map((measure, n) => ({ label: measure.label, at: (row) => row.values[n],
        text: (row) => written(measure.unit, row.values[n]),
        kind: ["instant", "day", "text"].includes(measure.unit) ? "" : "number-cell",
        bad: (row) => measure.bad && row.values[n] > 0 })),
    ];
    const rows = [...found.rows], by = sorted.get(panel.id);
    if (by) {
      rows.sort((a, b) => {
        const [one, other] = [heads[by.column].at(a), heads[by.column].at(b)];
        const sign = compare(one, other);
        return one === null || other === null ? sign : sign * (by.descending ? -1 : 1);
      });
    }
    const head = heads.map(({ label, kind }, n) => {
      const current = by?.column === n ? (by.descending ? "descending" : "ascending") : undefined;
      const button = element("button", { type: "button" }, label + (current ? (by.descending ? " ↓" : " ↑") : ""));
      button.onclick = () => {
        sorted.set(panel.id, { column: n, descending: !(by?.column === n && by.descending) });
        draw(panel);
      };
      return element("th", { class: kind, scope: "col", "aria-sort": current }, button);
    });
    const body = rows.map((row) => element("tr", {}, ...heads.map(({ label, text, kind, bad }) =>
      element("td", { "data-label": label, class: [kind, bad?.(row) ? "bad" : ""].join(" ").trim() || undefined }, text(row)))));
    return element("div", { class: "rows", tabindex: 0 }, element("table", {},
      element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...body)));
  }

  // What a choice means for a panel that does not obey it.
  function scope(panel) {
    const left = [];
    if (choice.organization && !panel.filters.includes("organization")) left.push("all organisations");
    if (choice.environment && !panel.filters.includes("environment")) left.push("all environments");
    if (choice.api_name && !panel.filters.includes("api_name")) left.push("all APIs");
    if (!wholeSpan() && !panel.filters.includes("day")) left.push("all dates");
    const said = left.length ? [`Shows ${left.join(", ")}.`] : [];
    if (panel.x?.part === "hour" && coarse()) {
      said.push(`By day, ${additive(panel) ? "" : "the highest of its hours, "}as more than ${hoursUpToDays} days are chosen.`);
    }
    return said.join(" ");
  }

  async function draw(panel) {
    const place = document.getElementById(`panel-${panel.id}`);
    views.get(panel.id)?.finalize();
    views.delete(panel.id);
    const found = KINDS[panel.kind](panel);
    drawn.set(panel.id, found ? { rows: found.rows } : { reason: reason(panel) });
    const head = element("header", {}, element("h2", {}, panel.title));
    const said = element("p", { class: "tells" }, panel.tells);
    const scoped = scope(panel) ? [element("p", { class: "scope" }, scope(panel))] : [];
    place.dataset.state = found ? "drawn" : drawn.get(panel.id).reason.why;
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
    const left = found.left ?? (found.all - found.rows.length);
    const more = left ? [element("p", { class: "scope" }, `${whole.format(left)} more not shown.`)] : [];
    if (panel.kind === "table") {
      place.replaceChildren(head, said, ...scoped, rowsTable(panel, found), ...more);
      return;
    }
    const plotted = element("div", { class: "plot", role: "img", "aria-label": `${panel.title}. ${panel.tells}` });
    place.replaceChildren(head, said, ...scoped, legend(panel, found), plotted, ...more);
    await plot(panel, found, plotted);
  }

  async function drawSheet() {
    const current = sheets.find(({ id }) => id === sheet);
    for (const { id } of sheets) document.getElementById(`sheet-${id}`).hidden = id !== sheet;
    for (const button of document.querySelectorAll("nav button")) {
      if (button.dataset.sheet === sheet) {
        button.setAttribute("aria-current", "page");
        button.scrollIntoView({ block: "nearest", inline: "center" });
      } else button.removeAttribute("aria-current");
    }
    const results = await Promise.allSettled(current.panels.map((id) => draw(byId.get(id))));
    for (const { reason: error } of results.filter(({ status }) => status === "rejected")) {
      failures += 1;
      console.error(error);
    }
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

  function section({ id, title, tells, panels: ids }) {
    const made = element("section", { id: `sheet-${id}`, class: "sheet", "aria-label": title }, element("p", {}, tells));
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

  const inOrder = (values) => [...new Set(values)].filter((v) => v !== null).sort((a, b) => a.localeCompare(b));

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
    for (const [name, value] of [["from", choice.from], ["to", choice.to]]) {
      form.elements[name].value = dayText(value);
      form.elements[name].min = dayText(span[0]);
      form.elements[name].max = dayText(span[1]);
    }
  }

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
    await drawSheet();
  }

  async function show(id) {
    sheet = id;
    await drawSheet();
  }

  function listen() {
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("change", ({ target: { name, value } }) => {
      const isDate = name === "from" || name === "to";
      choose({ [name]: isDate ? dayOf(value, choice[name]) : value });
    });
    for (const button of form.querySelectorAll("[data-days]")) {
      const days = Number(button.dataset.days);
      button.onclick = () => choose({ to: span[1], from: days ? Math.max(span[0], span[1] - days + 1) : span[0] });
    }
    const wants = matchMedia("(prefers-color-scheme: dark)");
    let own = false;
    const theme = (isDark) => { document.documentElement.dataset.theme = isDark ? "dark" : "light"; };
    theme(wants.matches);
    wants.addEventListener("change", () => { if (!own) { theme(wants.matches); drawSheet(); } });
    document.getElementById("theme").onclick = () => { own = true; theme(!dark()); drawSheet(); };
  }

  async function start() {
    data = await unpack();
    span = spanOfDays();
    choice = { organization: "", environment: "", api_name: "",
      from: Math.max(span[0], span[1] - 29), to: span[1] };
    listen();
    build();
    showChoice();
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
})();
