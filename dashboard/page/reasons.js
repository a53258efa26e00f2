// Why a panel is empty, and what it does not show.

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
