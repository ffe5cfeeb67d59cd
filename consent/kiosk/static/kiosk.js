// Makes the kiosk's pages a little quicker. Every step works without it; it stores nothing and asks only this kiosk.
"use strict";

document.documentElement.classList.add("js");
const token = () => document.querySelector("input[name=csrf]")?.value ?? "";

// A page that comes back from the browser's memory shows what was; ask for what is.
addEventListener("pageshow", (event) => event.persisted && location.reload());

// --- a tap is sent once, and the page says at once that it waits for the camera

addEventListener("submit", (event) => {
  const form = event.target;
  const button = event.submitter;
  if (form.id === "stay") {
    event.preventDefault();
    stay();
    return;
  }
  const aside = button && (button.name === "set" || button.name === "key");
  if (form.dataset.sent && !aside) return event.preventDefault();
  if (aside) return;
  form.dataset.sent = "1";
  const waiting = form.querySelector(".waiting");
  if (waiting && !(button && button.value === "no")) waiting.textContent = waiting.dataset.text;
});

// --- the keys of a code

const field = document.getElementById("code");
const count = document.getElementById("code-count");
const counted = () => {
  const n = field.value.normalize("NFKC").replace(/[^\p{L}\p{N}]/gu, "").length;
  if (count) count.textContent = count.dataset.text.replace("#", n);
};
if (field) {
  field.addEventListener("input", counted);
  for (const key of document.querySelectorAll("button[name=key]")) {
    key.addEventListener("click", (event) => {
      event.preventDefault();
      if (key.value === "clear") field.value = "";
      else if (key.value === "delete") field.value = field.value.replace(/[-\s]+$/, "").slice(0, -1);
      else field.value += key.value;
      counted();
    });
  }
}

// --- the shopper's own frame, and the camera's answer

const me = document.getElementById("me");
const seen = document.getElementById("camera-text");
async function look() {
  try {
    const answer = await fetch("/pad", { cache: "no-store" });
    if (answer.status === 200) {
      const frame = await answer.json();
      me.setAttribute("class", `me ${frame.mark}`);
      for (const name of ["x", "y", "width", "height"]) me.setAttribute(name, frame[name]);
      if (seen.textContent !== frame.text) seen.textContent = frame.text;
    }
  } catch {
    // the kiosk restarts: the next look tells
  }
  setTimeout(look, 700);
}
if (me) setTimeout(look, 700);

async function ask(left) {
  try {
    const answer = await fetch("/asked", { cache: "no-store" });
    if (answer.status === 200 && (await answer.json()).final) return location.replace(location.pathname);
  } catch {
    // as above
  }
  if (left > 0) setTimeout(ask, 400, left - 1);
}
if (document.querySelector("[data-asked]")) setTimeout(ask, 400, 25);

// --- still there?

const idle = document.getElementById("idle");
const WARN_S = 20;
let touched = Date.now();
let told = Date.now();
function stay() {
  touched = told = Date.now();
  if (idle.open) idle.close();
  fetch("/stay", { method: "POST", body: new URLSearchParams({ csrf: token() }) }).catch(() => {});
}
if (idle) {
  const limit = Number(document.body.dataset.idle) * 1000;
  const left = idle.querySelector(".left");
  for (const kind of ["pointerdown", "keydown", "wheel", "touchmove"]) {
    addEventListener(
      kind,
      () => {
        if (idle.open) return;
        touched = Date.now();
        if (touched - told > 15000) stay();
      },
      { passive: true },
    );
  }
  idle.addEventListener("cancel", () => stay());
  const tick = setInterval(() => {
    const rest = limit - (Date.now() - touched);
    if (rest <= 0) {
      clearInterval(tick);
      document.getElementById("finish").submit();
    } else if (rest <= WARN_S * 1000) {
      left.textContent = left.dataset.text.replace("#", Math.ceil(rest / 1000));
      if (!idle.open) idle.showModal();
    }
  }, 500);
}

// --- paper

for (const button of document.querySelectorAll("button.paper")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}
