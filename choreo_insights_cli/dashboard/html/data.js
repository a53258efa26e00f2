// The data, filtered by the reader's choices and added up.

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
  for (const name of CHOICES) {
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

// The part of a value that a dimension groups by; instants are milliseconds.
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
  const given = panel.is_raw;
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
      // Null comes last in either order.
      if (found) return descending && a !== null && b !== null ? -found : found;
    }
    return one.keys.map((key, n) => compare(key, other.keys[n])).find(Boolean) ?? 0;
  });
}
