// What each kind of panel draws: {rows, ...}, or null where there is nothing to see.
// Marks name their series by number; `pick` is the choice that a mark stands for.

function figure(panel) {
  const rows = aggregated(panel, []);
  const value = rows.length ? rows[0].values[0] : null;
  if (value === null) return null;
  const earlier = before();
  const was = earlier && complete(panel, earlier) && complete(panel, choice)
    ? aggregated(panel, [], earlier)[0]?.values[0] ?? null : null;
  return { rows: [{ value, label: panel.measures[0].label }], was, earlier };
}

function table(panel) {
  let all = ordered(panel, panel.dimensions, aggregated(panel, panel.dimensions));
  const earlier = panel.compares ? before() : null;
  if (panel.compares) {
    const then = new Map((earlier ? aggregated(panel, panel.dimensions, earlier) : [])
      .map((row) => [JSON.stringify(row.keys), row.values]));
    for (const row of all) row.was = then.get(JSON.stringify(row.keys)) ?? row.values.map(() => null);
    // Nothing to compare: the rest of a day without requests, say.
    all = all.filter((row) => [...row.values, ...row.was].some((value) => value !== null));
  }
  if (!all.length) return null;
  const totals = panel.measures.map((_, n) => all.reduce((sum, row) => sum + (row.values[n] ?? 0), 0));
  return { rows: all.slice(0, panel.top ?? all.length), all, totals, earlier };
}

const additive = (panel) =>
  panel.measures.every((measure) => ["sum", "count"].includes(measure.aggregation));

// The choice that a value of a dimension stands for, if it can be chosen.
const picks = (dimension, key) => (dimension && key !== null && key !== OTHER &&
  dimension.part === "whole" && Object.hasOwn(filters, dimension.column)
  ? { [dimension.column]: key } : null);

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
  if (!additive(panel)) {
    return { rows: rows.filter((row) => kept.has(row.key)), keys: [...kept].sort(byRank(panel)), left };
  }
  const sums = new Map();
  for (const { x, key, value } of rows) {
    const to = kept.has(key) ? key : OTHER, id = JSON.stringify([x, to]);
    const there = sums.get(id);
    if (there) there.value += value; else sums.set(id, { x, key: to, value });
  }
  const all = left || totals.has(OTHER) ? [...kept, OTHER] : [...kept];
  return { rows: [...sums.values()], keys: all, left: 0 };
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
  const name = (key) => (!panel.series || key === OTHER ? key : named(panel.series, key));
  const step = panel.x.part === "hour" && !coarse() ? HOUR : DAY;
  const byTime = new Map();
  for (const row of rows) {
    if (!byTime.has(row.x)) byTime.set(row.x, new Map());
    byTime.get(row.x).set(row.key, row.value);
  }
  const times = [...byTime.keys()].sort((a, b) => a - b);
  const unit = panel.measures[0].unit;
  const hover = times.map((x) => {
    const there = keys.filter((key) => byTime.get(x).has(key));
    const sum = there.reduce((total, key) => total + byTime.get(x).get(key), 0);
    const shares = panel.kind === "stacked" && there.length > 1;
    const rows = there.map((key) => [name(key), written(unit, byTime.get(x).get(key)),
      ...(shares ? [share(byTime.get(x).get(key), sum)] : [])]);
    if (shares && rows.every(([label]) => label !== TOTAL)) rows.push([TOTAL, written(unit, sum), ""]);
    return { x0: x, x1: x + step, tip: { title: named(panel.x, x) + (step === HOUR ? " UTC" : ""), rows } };
  });
  const marks = panel.kind === "line"
    ? lineMarks(byTime, times, keys, step) : stackMarks(byTime, times, keys, step);
  // A day's name stands below the middle of its marks; an hour's bar begins where it is named.
  if (panel.kind === "line") shift(hover, step / 2);
  else if (step === DAY) { shift(hover, step / 2); shift(marks, step / 2); }
  const shades = shadesOf(panel, keys);
  const legend = keys.map((key, n) => ({ name: name(key), colour: shades[n], pick: picks(panel.series, key) }));
  const sums = keys.map((key) => rows.reduce((sum, row) => sum + (row.key === key ? row.value : 0), 0));
  if (additive(panel) && keys.length > 1) {
    const total = sums.reduce((a, b) => a + b, 0);
    legend.forEach((entry, n) => { entry.share = share(sums[n], total); });
  }
  const highest = panel.kind === "line" ? Math.max(...rows.map((row) => row.value))
    : Math.max(...times.map((x) => [...byTime.get(x).values()].reduce((a, b) => a + b, 0)));
  return { rows: rows.map((row) => ({ ...row, key: name(row.key), id: row.key })), marks, hover, left,
    step, legend, shades, highest, lowest: Math.min(...rows.map((row) => row.value)) };
}

function shift(rows, by) {
  for (const row of rows) { row.x0 -= by; row.x1 -= by; }
}

function lineMarks(byTime, times, keys, step) {
  const marks = [], many = (times.at(-1) - times[0]) / step > 60;
  for (const [n, key] of keys.entries()) {
    const has = (x) => byTime.get(x)?.has(key) ?? false;
    for (let x = times[0]; x <= times.at(-1); x += step) {
      // A null breaks the line where there is no data.
      const alone = !has(x - step) && !has(x + step);
      marks.push({ x0: x, value: byTime.get(x)?.get(key) ?? null, series: n,
        dot: has(x) && (!many || alone) });
    }
  }
  return marks;
}

function stackMarks(byTime, times, keys, step) {
  // Between many thin bars gaps would be a pattern of their own.
  const gap = times.length > 60 ? 0 : step * 0.06;
  return times.flatMap((x) => {
    let from = 0;
    return [...keys.entries()].filter(([, key]) => byTime.get(x).has(key)).map(([n, key]) => {
      const y0 = from;
      from += byTime.get(x).get(key);
      return { x0: x + gap, x1: x + step - gap, y0, y1: from, series: n };
    });
  });
}

function bars(panel) {
  let rows = aggregated(panel, [panel.x]).filter((row) => row.values[0] !== null);
  if (additive(panel)) rows = rows.filter((row) => row.values[0] !== 0);
  if (!rows.length) return null;
  rows = ordered(panel, [panel.x], rows);
  // Known values have an order of their own, such as severities; others come after them.
  const places = panel.x.known.map((each) => each.value), place = (key) => (places.indexOf(key) + 1 || Infinity);
  if (places.length) rows.sort((a, b) => (place(a.keys[0]) > place(b.keys[0])) - (place(a.keys[0]) < place(b.keys[0])));
  const total = additive(panel) ? rows.reduce((sum, row) => sum + row.values[0], 0) : 0;
  const left = panel.top ? Math.max(0, rows.length - panel.top) : 0;
  rows = rows.slice(0, panel.top ?? rows.length);
  const measure = panel.measures[0];
  const marks = rows.map(({ keys: [key], values: [value] }) => {
    const text = written(measure.unit, value), part = rows.length + left > 1 ? share(value, total) : "";
    const name = named(panel.x, key), known = panel.x.known.find((each) => each.value === key);
    return { name, value, text: part ? `${text} (${part})` : text, pick: picks(panel.x, key),
      shade: known?.colour ?? (name === OTHER ? rest : measure.colour ?? palette[0]),
      tip: { title: name, rows: [[measure.label, text], ...(part ? [["Share", part]] : [])] } };
  });
  return { marks, left, rows: rows.map(({ keys: [key], values: [value] }) =>
    ({ x: named(panel.x, key), id: key, value })),
  largest: rows.reduce((most, row) => Math.max(most, row.values[0]), 0) };
}

function heat(panel) {
  const dimensions = [panel.x, panel.y], measure = panel.measures[0];
  const rows = aggregated(panel, dimensions).filter((row) => row.values[0]);
  if (!rows.length) return null;
  const totals = new Map(), widths = new Map();
  for (const { keys: [x, y], values: [value] } of rows) {
    totals.set(y, (totals.get(y) ?? 0) + value);
    widths.set(x, (widths.get(x) ?? 0) + value);
  }
  let down = [...totals.keys()];
  down.sort(panel.order.length ? (a, b) => totals.get(b) - totals.get(a) || compare(a, b) : compare);
  const left = panel.top ? Math.max(0, down.length - panel.top) : 0;
  if (panel.top) down = down.slice(0, panel.top);
  const kept = rows.filter((row) => down.includes(row.keys[1]));
  let across = [...new Set(kept.map((row) => row.keys[0]))].sort(compare);
  // More columns than fit: those with the most.
  const most = 24, hidden = Math.max(0, across.length - most);
  if (hidden) {
    const best = new Set([...across].sort((a, b) => widths.get(b) - widths.get(a)).slice(0, most));
    across = across.filter((x) => best.has(x));
  }
  const shown = kept.filter((row) => across.includes(row.keys[0]));
  const highest = Math.max(...shown.map((row) => row.values[0]));
  const marks = shown.map(({ keys: [x, y], values: [value] }) => ({
    column: across.indexOf(x), row: down.indexOf(y), value,
    text: across.length <= 9 && innerWidth > 760 || across.length <= 5 ? compact.format(value) : "",
    pick: { ...picks(panel.x, x), ...picks(panel.y, y) },
    tip: { title: named(panel.y, y),
      rows: [[panel.x.label, named(panel.x, x)], [measure.label, written(measure.unit, value)]] },
  }));
  return { marks, left, hidden, most: highest, down: down.map((y) => named(panel.y, y)),
    across: across.map((x) => named(panel.x, x)),
    rows: shown.map(({ keys: [x, y], values: [value] }) =>
      ({ x: named(panel.x, x), y: named(panel.y, y), id: [x, y], value })) };
}

const KINDS = { figure, table, line: overTime, stacked: overTime, bar: bars, heatmap: heat };
