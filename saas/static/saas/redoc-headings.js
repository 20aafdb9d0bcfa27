/* ReDoc's headings jump from the second level to the fifth, so a screen reader's outline had holes. */
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const mend = () => {
    for (const heading of document.querySelectorAll("redoc h5:not([aria-level])")) heading.setAttribute("aria-level", "3");
  };
  new MutationObserver(mend).observe(document.querySelector("redoc"), { childList: true, subtree: true });
});
