// What each kind of panel draws: {rows, ...}, or null where there is nothing to see.
// Marks name their series and places by number: Vega uses these as keys of objects, where a name
// such as `constructor` is there already. `shades` are the series' colours in that order.

function figure(panel) {
  const rows = aggregated(panel, []);
  const value = rows.length ? rows[0].values[0] : null;
  return value === null ? null : { rows: [{ value, label: panel.measures[0].label }] };
}

function table(panel) {
  const all = ordered(panel, panel.dimensions, aggregated(panel, panel.dimensions));
  return all.length ? { rows: all.slice(0, panel.top ?? all.length), all } : null;
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
  if (!additive(panel)) {
    return { rows: rows.filter((row) => kept.has(row.key)), keys: [...kept].sort(byRank(panel)), left };
  }
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
    const there = keys.filter((key) => byTime.get(x).has(key));
    const rows = there.map((key) => [name(key), written(unit, byTime.get(x).get(key))]);
    if (panel.kind === "stacked" && there.length > 1 && rows.every(([label]) => label !== TOTAL)) {
      rows.push([TOTAL, written(unit, there.reduce((sum, key) => sum + byTime.get(x).get(key), 0))]);
    }
    return { x0: x, x1: x + step, tip: { title: named(panel.x, x) + (step === HOUR ? " UTC" : ""), rows } };
  });
  const marks = panel.kind === "line"
    ? lineMarks(byTime, times, keys, step) : stackMarks(byTime, times, keys, step);
  // A day's name stands below the middle of its marks; an hour's bar begins where it is named.
  if (panel.kind === "line") shift(hover, step / 2);
  else if (step === DAY) { shift(hover, step / 2); shift(marks, step / 2); }
  const legend = coloured(panel, keys);
  return { rows: rows.map((row) => ({ ...row, key: name(row.key) })), marks, hover, left, step,
    legend, shades: keys.map((key) => legend.get(name(key))) };
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
      marks.push({ x0: x, value: byTime.get(x)?.get(key) ?? null, series: String(n),
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
      return { x0: x + gap, x1: x + step - gap, y0, y1: from, series: String(n) };
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
  const names = rows.map(({ keys }) => named(panel.x, keys[0]));
  const marks = rows.map(({ values }, n) => {
    const text = written(measure.unit, values[0]);
    return { x0: String(n), value: values[0], text, series: names[n] === OTHER ? "1" : "0",
      tip: { title: names[n], rows: [[measure.label, text]] } };
  });
  return { names, rows: rows.map(({ keys, values }) => ({ x: named(panel.x, keys[0]), value: values[0] })),
    marks, left, largest: rows.reduce((most, row) => Math.max(most, row.values[0]), 0),
    shades: [measure.colour ?? palette[0], rest] };
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
    x0: String(across.indexOf(keys[0])), y0: String(down.indexOf(keys[1])), value,
    text: across.length <= 9 && innerWidth > 760 || across.length <= 5 ? compact.format(value) : "",
    // Where white is easier to read on the cell than black.
    deep: (light ? value / most : 1 - value / most) > 0.7,
    tip: { title: named(panel.y, keys[1]),
      rows: [[panel.x.label, named(panel.x, keys[0])], [measure.label, written(measure.unit, value)]] },
  }));
  const names = down.map((y) => named(panel.y, y));
  return { marks, left, most, names, down: names, across: across.map((x) => named(panel.x, x)),
    rows: kept.map(({ keys, values: [value] }) => ({ x: named(panel.x, keys[0]), y: named(panel.y, keys[1]), value })) };
}

const KINDS = { figure, table, line: overTime, stacked: overTime, bar: bars, heatmap: heat };
