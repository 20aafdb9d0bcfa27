/* Keeps a page fresh without a reload.

   <div data-live="1500">  is replaced every 1.5 s by the same element of a newly fetched page, until that has had no interval twice.
   <table data-live-rows="5000">  gets new texts in the rows that it shows, and says how many rows are new.

   Nothing is replaced under the hands of a reader: not while a menu is open, a field of it has the focus, or the tab is hidden. */
(() => {
  const MOST_ROUNDS = 120;

  const fetchPage = async () => {
    const answer = await fetch(location.href, { credentials: "same-origin", redirect: "error" });
    return answer.ok ? new DOMParser().parseFromString(await answer.text(), "text/html") : null;
  };

  const isInUse = (element) =>
    document.hidden || element.querySelector("details[open]") || element.querySelector("input:focus, select:focus");

  const repeat = (milliseconds, round) => {
    let rounds = 0;
    const next = async () => {
      rounds += 1;
      let goesOn = true;
      try {
        goesOn = await round();
      } catch {
        goesOn = true; // the network failed: try again
      }
      if (goesOn && rounds < MOST_ROUNDS) setTimeout(next, milliseconds);
    };
    setTimeout(next, milliseconds);
  };

  let isSettled = false; // a page that was made while the last event ended may show half of what it did: one more is fetched
  const replaceRegion = async () => {
    const shown = document.querySelector("[data-live]");
    if (isInUse(shown)) return true;
    const fetched = (await fetchPage())?.querySelector("[data-live]");
    if (!fetched) return false;
    shown.replaceWith(fetched);
    const goesOn = Boolean(fetched.dataset.live) || !isSettled;
    isSettled = !fetched.dataset.live;
    return goesOn;
  };

  const keyOf = (row) => row.querySelector("a[href]")?.getAttribute("href");

  const updateRows = async () => {
    const shown = document.querySelector("#result_list");
    if (!shown || isInUse(shown)) return true;
    const fetched = (await fetchPage())?.querySelector("#result_list");
    if (!fetched) return true;
    const rows = new Map([...shown.querySelectorAll("tbody tr")].map((row) => [keyOf(row), row]));
    let added = 0;
    for (const row of fetched.querySelectorAll("tbody tr")) {
      const known = rows.get(keyOf(row));
      if (!known) added += keyOf(row) ? 1 : 0;
      else updateCells(known, row);
    }
    const note = document.querySelector("[data-live-new]");
    note.hidden = !added;
    note.querySelector("b").textContent = added === 1 ? "1 new row" : `${added} new rows`;
    return true;
  };

  const updateCells = (known, row) => {
    const cells = [...known.children];
    [...row.children].forEach((cell, index) => {
      const mine = cells[index];
      if (mine && !mine.querySelector("input") && mine.innerHTML !== cell.innerHTML) mine.replaceChildren(...cell.childNodes);
    });
  };

  document.addEventListener("DOMContentLoaded", () => {
    const region = document.querySelector("[data-live]");
    if (region?.dataset.live) repeat(Number(region.dataset.live), replaceRegion);
    const list = document.querySelector("[data-live-rows]");
    if (list) repeat(Number(list.dataset.liveRows), updateRows);
  });
})();
