// What keeps an open page true: the agent's events, by server-sent events. Everything else works without this file.
"use strict";

const root = document.documentElement.dataset.root;
const place = (id) => document.getElementById(id);

function say(text) {
  const heard = place("heard");
  if (heard) heard.textContent = text;
}

function progress(told) {
  const box = place("progress");
  if (!box) return;
  const underWay = Boolean(told && told.job);
  box.hidden = !underWay;
  if (!underWay) return;
  place("progress-told").textContent = [box.dataset[told.job] ?? told.job, told.scene, told.what].filter(Boolean).join(" · ");
  const bar = place("progress-bar");
  if (told.of > 0) {
    bar.max = told.of;
    bar.value = Math.min(told.done, told.of);
  } else {
    bar.removeAttribute("value");
  }
}

// Parts of a page that may change are marked data-live: they are taken anew from the server, which alone knows the words.
const WAIT = 1500; // milliseconds for what comes together
let due = null;
function soon() {
  due ??= setTimeout(renew, WAIT);
}
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && due === "hidden") renew();
});

function engaged(part) {
  const focus = document.activeElement;
  return part.querySelector("details[open]") !== null || (part !== focus && part.contains(focus) && focus.matches("a, input, select, button, summary"));
}

let leaving = false; // a form is on its way: nothing may take its answer's place
document.addEventListener("submit", () => (leaving = true));
window.addEventListener("pageshow", () => (leaving = false));

async function renew() {
  if (leaving) {
    due = null;
    return;
  }
  due = document.hidden ? "hidden" : null; // nobody looks: it waits until somebody does
  if (due) return;
  const old = [...document.querySelectorAll("[data-live]")];
  if (old.length === 0) return;
  let answer;
  try {
    answer = await fetch(location.href);
  } catch {
    return; // the agent is away: the stream tells when it is back
  }
  if (leaving || (!answer.ok && !answer.redirected)) return;
  if (answer.redirected) {
    location.reload(); // to the login
    return;
  }
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const known = (parts) => [...parts].map((part) => part.id).join(" ");
  if (known(old) !== known(fresh.querySelectorAll("[data-live]"))) {
    location.reload();
    return;
  }
  for (const part of old) {
    if (!engaged(part)) part.replaceChildren(...fresh.getElementById(part.id).childNodes);
  }
  document.dispatchEvent(new Event("renewed"));
}

let begun = false;
function state(told) {
  progress(told.progress);
  if (begun) soon();
  begun = true;
}

function alertTold(told) {
  say(told.sentence);
  soon();
}

const listeners = { state, alert: alertTold, behavior: soon, progress };

// Without its stream a page grows old: it says so once that has lasted.
const PATIENCE = 3000; // milliseconds
let missed = null;
function stream(on) {
  document.documentElement.dataset.stream = on ? "on" : "off";
  if (on) {
    clearTimeout(missed);
    missed = null;
    place("away").hidden = true;
  } else {
    missed ??= setTimeout(() => (place("away").hidden = false), PATIENCE);
  }
}

if (place("away") && window.EventSource) {
  const events = new EventSource(`${root}/events`);
  events.addEventListener("open", () => stream(true));
  events.addEventListener("error", () => stream(false));
  for (const [topic, listener] of Object.entries(listeners)) {
    events.addEventListener(topic, (event) => listener(JSON.parse(event.data)));
  }
  window.addEventListener("pagehide", () => events.close());
}
