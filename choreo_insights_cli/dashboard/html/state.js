// The constants and the state of the page.

const HOUR = 3600e3, DAY = 24 * HOUR;
const { sheets, panels, keys, filters, palette, rest, scales, hoursUpToDays, spans, targets, about } =
  JSON.parse(document.getElementById("description").textContent);
const byId = new Map(panels.map((panel) => [panel.id, panel]));
const WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const OTHER = "Other", TOTAL = "Total";
// Selects at the top; a chosen value is a text, or a list of texts where a name alone says too little.
const CHOICES = ["organization", "environment", "api_name"];
// Tables with more rows can be searched, and open to all of them.
const FEW = 20;
const { today } = about;
let data, choice, span, sheet = sheets[0].id, failures = 0;
const drawn = new Map(), colours = new Map(), sorted = new Map(), searched = new Map(), opened = new Set();
