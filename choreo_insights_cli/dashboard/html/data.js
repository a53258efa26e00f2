// The data, filtered by the reader's choices and added up.

async function unpack() {
  const text = atob(document.getElementById("data").textContent);
  // A loop: of millions of characters, a function for each takes longer than all the rest.
  const packed = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) packed[i] = text.charCodeAt(i);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

// A column as numbers into `texts`, where it holds texts.
const columnOf = (panel, name) => {
  const frame = data.frames[panel.frame];
  return Object.hasOwn(keys, name) ? (frame[`key:${name}`] ??= keyed(frame, name)) : frame[name];
};

// What a name alone does not tell apart: the text of each value is a list as JSON.
function keyed(frame, name) {
  const columns = [name, ...keys[name]].map((part) => frame[part]);
  const sizes = columns.map((column) => (column?.texts.length ?? 0) + 1);
  const numbers = new Map(), texts = [], values = new Array(columns[0].values.length);
  for (let i = 0; i < values.length; i++) {
    if (columns[0].values[i] === null) { values[i] = null; continue; }
    let id = 0;
    for (let n = 0; n < columns.length; n++) id = id * sizes[n] + (columns[n] ? columns[n].values[i] ?? sizes[n] - 1 : 0);
    let number = numbers.get(id);
    if (number === undefined) {
      numbers.set(id, (number = texts.length));
      texts.push(JSON.stringify(columns.map((column) => column?.texts[column.values[i]] ?? null)));
    }
    values[i] = number;
  }
  return { texts, values };
}

// Whether a panel's rows can be chosen by a column.
const follows = (panel, name) => (CHOICES.includes(name) || name === "day"
  ? panel.filters.includes(name) : Object.hasOwn(data.frames[panel.frame], name));

const chosen = () => [...CHOICES, ...Object.keys(filters)]
  .filter((name, n, all) => choice[name] && all.indexOf(name) === n);

function selected(panel, { from, to } = choice) {
  const tests = panel.only.map((only) => [only.column, only.value]);
  for (const name of chosen()) if (follows(panel, name)) tests.push([name, choice[name]]);
  const equal = tests.map(([name, text]) => {
    const { texts, values } = columnOf(panel, name);
    return [values, texts.indexOf(text)];
  });
  const days = panel.filters.includes("day") ? columnOf(panel, "day").values : null;
  const count = Object.values(data.frames[panel.frame])[0].values.length;
  const found = [];
  next: for (let i = 0; i < count; i++) {
    if (days && (days[i] < from || days[i] > to)) continue;
    for (const [values, wanted] of equal) if (values[i] !== wanted) continue next;
    found.push(i);
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

// The number of the part of each value, and the parts by number.
function parts(panel, dimension) {
  const { texts, values } = columnOf(panel, dimension.key);
  const numbers = new Map(), found = [];
  const numberOf = (value) => {
    const key = part(dimension, texts && value !== null ? texts[value] : value);
    let number = numbers.get(key);
    if (number === undefined) { numbers.set(key, (number = found.length)); found.push(key); }
    return number;
  };
  // Most values come often: each is looked at once.
  const seen = new Map();
  const at = (i) => {
    const value = values[i];
    let number = seen.get(value);
    if (number === undefined) seen.set(value, (number = numberOf(value)));
    return number;
  };
  return { at, found };
}

// The rows of a panel: {keys, values}, a key for each dimension and a value for each measure.
function aggregated(panel, dimensions, days = choice) {
  const columns = dimensions.map((dimension) => parts(panel, dimension));
  const names = [...new Set(panel.measures.flatMap((measure) => measure.columns))];
  const valueColumns = names.map((name) => columnOf(panel, name).values);
  const adds = names.map((name) => ADD[name.split(":")[0]]);
  const groups = new Map();
  for (const i of selected(panel, days)) {
    const numbers = columns.map(({ at }) => at(i));
    const id = panel.is_raw ? i : numbers.length === 1 ? numbers[0] : numbers.join();
    let group = groups.get(id);
    if (!group) groups.set(id, (group = { numbers, sums: {} }));
    for (let n = 0; n < names.length; n++) {
      const value = valueColumns[n][i], name = names[n];
      if (value === null) continue;
      group.sums[name] = name in group.sums ? adds[n](group.sums[name], value) : value;
    }
  }
  // Text measures of raw rows are numbers into their texts.
  const text = (measure, value) => {
    const { texts } = columnOf(panel, measure.columns[0]);
    return texts && value !== null ? texts[value] : value;
  };
  return [...groups.values()].map(({ numbers, sums }) => ({
    keys: numbers.map((number, n) => columns[n].found[number]),
    values: panel.measures.map((measure) => text(measure, result(measure, sums))),
  }));
}

// The days before those chosen, as many; null where they or the chosen ones are not known.
function before() {
  const count = choice.to - choice.from + 1;
  return choice.to < today && choice.from - count >= span[0]
    ? { from: choice.from - count, to: choice.from - 1 } : null;
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
