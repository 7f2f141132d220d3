// Sets light or dark before the first paint: the reader's choice in this browser, else the system's.
"use strict";

document.documentElement.dataset.bsTheme =
  localStorage.getItem("theme") ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
