// The sum of each rule's shares, while they are typed; the server asks again.
"use strict";

function addUp(rule) {
  const inputs = document.querySelectorAll(`[data-share="${rule}"]`);
  const hundredths = [...inputs].reduce((sum, input) => sum + Math.round(100 * Number(input.value || 0)), 0);
  const output = document.querySelector(`[data-share-sum="${rule}"]`);
  output.textContent = Number.isNaN(hundredths) ? "–" : (hundredths / 100).toFixed(2);
  output.classList.toggle("text-danger", hundredths !== 10000);
}

document.addEventListener("input", (event) => {
  if (event.target.dataset.share) addUp(event.target.dataset.share);
});
for (const output of document.querySelectorAll("[data-share-sum]")) addUp(output.dataset.shareSum);
