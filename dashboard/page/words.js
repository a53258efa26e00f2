// Words and colours for values.

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
