/* Shows what the form of a staff action would do, as it is filled in. Without scripts the page says it after the first click. */
(() => {
  const DELAY = 250;

  document.addEventListener("DOMContentLoaded", () => {
    const form = document.querySelector("form[data-effect]");
    if (!form) return;
    let timer;
    let asked = 0;

    const show = async () => {
      asked += 1;
      const mine = asked;
      const shown = form.querySelector("[data-effect-shown]");
      shown.setAttribute("aria-busy", "true");
      const body = new FormData(form);
      body.set("preview", "1");
      const answer = await fetch(location.href, { method: "POST", body, credentials: "same-origin" });
      if (mine !== asked || !answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      shown.replaceWith(page.querySelector("[data-effect-shown]"));
    };

    form.addEventListener("input", (event) => {
      if (event.target.name === "reason") return;
      clearTimeout(timer);
      form.querySelector("[data-effect-shown]").setAttribute("aria-busy", "true");
      timer = setTimeout(show, DELAY);
    });
  });
})();
