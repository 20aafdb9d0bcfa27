/* Names the regions that scroll: SimpleBar calls all of them "scrollable content", so a screen reader could not tell them apart. */
(() => {
  const NAMES = [
    ["#nav-sidebar-apps", "Menu"],
    ["#changelist-filter", "Filters"],
    ["#changelist-form", "Rows"],
    ["[x-data='searchCommand()']", "Found"],
  ];

  // Before SimpleBar, which starts at the same event and is loaded later.
  document.addEventListener("DOMContentLoaded", () => {
    for (const region of document.querySelectorAll("[data-simplebar]")) {
      const [, name] = NAMES.find(([selector]) => region.closest(selector)) ?? [];
      if (name) region.setAttribute("data-simplebar-aria-label", name);
    }
  });
})();
