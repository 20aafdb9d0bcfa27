/* Opens the customer's pages by one click, in a tab of their own, while the desk's tab goes back to where it was.

   <form target="_blank" data-back="/admin/…">  leads its own tab to the address once it was sent.
   <form data-submit-now>                       is sent as soon as its page is there. Without scripts its button is pressed. */
(() => {
  const UNTIL_SENT = 1000;

  document.addEventListener("DOMContentLoaded", () => {
    const asking = document.querySelector("form[target='_blank'][data-back]");
    asking?.addEventListener("submit", () => setTimeout(() => location.assign(asking.dataset.back), UNTIL_SENT));
    document.querySelector("form[data-submit-now]")?.requestSubmit();
  });
})();
