/* Focuses the field that a page begins with: browsers do so on the first visit only, not where a page is opened again. */
document.addEventListener("DOMContentLoaded", () => {
  if (document.activeElement === document.body) document.querySelector("main [autofocus]")?.focus();
});
