// The first form of a page is what the page is for; its hidden inputs are filled from the link's fragment, and
// data-done is what is said when the API has done it. The other forms come up when they are needed (data-when): a status
// that the API answered, or a flag in its answer; or by a button that names them (data-show). When one of them has
// succeeded, the first is sent again, unless that one has a data-done of its own.
"use strict";

const forms = [...document.forms];
const message = document.getElementById("message");

function fill(form, values) {
  for (const input of form.querySelectorAll("input[type=hidden]")) {
    if (values[input.name]) input.value = values[input.name];
  }
}

function show(form) {
  for (const other of forms) other.hidden = other !== form;
  form?.querySelector("input:not([type=hidden])")?.focus();
}

async function send(action, form) {
  const csrf = await (await fetch("/api/auth/csrf")).json();
  const response = await fetch(action, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRFToken": csrf.csrf_token },
    body: JSON.stringify(Object.fromEntries(new FormData(form))),
  });
  return [response, response.status === 204 ? {} : await response.json()];
}

function say(text, kind) {
  message.textContent = text;
  message.className = kind;
}

async function submit(action, form) {
  say("", "");
  const [response, body] = await send(action, form);
  const next = forms.find(({ dataset }) => dataset.when === String(response.status) || body[dataset.when]);
  if (next && form === forms[0]) {
    fill(next, body);
    return show(next);
  }
  if (!response.ok) {
    say(Object.values(body.errors ?? {}).flat().join(" ") || body.detail, "refused");
  } else if (next) {
    fill(next, body);
    show(next);
  } else if (form.dataset.done) {
    say(form.dataset.done, "done");
    show(null);
  } else {
    show(forms[0]);
    await submit(forms[0].dataset.action, forms[0]);
  }
}

for (const form of forms) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit(event.submitter?.dataset.action ?? form.dataset.action, form).catch(() => {
      say("The server cannot be reached. Try again in a moment.", "refused");
    });
  });
}

for (const button of document.querySelectorAll("button[data-show]")) {
  button.addEventListener("click", () => show(document.getElementById(button.dataset.show)));
}

const secret = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
for (const form of forms) fill(form, secret);
history.replaceState(null, "", location.pathname); // the secret does not stay in the address bar
