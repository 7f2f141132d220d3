// Agencies to choose from: shows those that are sought, and chooses all that may receive. A choice is a box to tick, or
// a number where the order counts. What is chosen stays in sight.
"use strict";

function choosing(tools) {
  const [find, tier, all, none, count] = ["find", "tier", "all", "none", "count"]
    .map((name) => tools.querySelector(`[data-panel-${name}]`));
  const agencies = [...document.querySelectorAll("[data-panel-words]")]
    .map((row) => ({ row, input: row.querySelector("[data-panel-choice]"), ...row.dataset }));
  const isTicked = (input) => input.type === "checkbox";
  const isChosen = ({ input }) => (isTicked(input) ? input.checked : input.value.trim() !== "");

  function isSought(agency) {
    const words = find.value.trim().toLocaleLowerCase();
    return agency.panelWords.includes(words) && (!tier?.value || tier.value === agency.panelOf);
  }

  function show() {
    for (const agency of agencies) agency.row.hidden = !isSought(agency) && !isChosen(agency);
    const chosen = agencies.filter(isChosen).length;
    count.textContent = count.dataset.panelCount.replace("{count}", chosen).replace("{all}", agencies.length);
  }

  function chooseAll() {
    let last = Math.max(0, ...agencies.map(({ input }) => (isTicked(input) ? 0 : Number(input.value) || 0)));
    for (const agency of agencies) {
      if (!isSought(agency) || !("panelMay" in agency) || isChosen(agency)) continue;
      if (isTicked(agency.input)) agency.input.checked = true;
      else agency.input.value = last += 1;
    }
    show();
  }

  function chooseNone() {
    for (const { input } of agencies) {
      if (isTicked(input)) input.checked = false;
      else input.value = "";
    }
    show();
  }

  tools.hidden = false;
  all.addEventListener("click", chooseAll);
  none.addEventListener("click", chooseNone);
  find.addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); });
  for (const place of [find, tier, ...agencies.map(({ input }) => input)]) place?.addEventListener("input", show);
  show();
}

document.querySelectorAll("[data-panel-tools]").forEach(choosing);
