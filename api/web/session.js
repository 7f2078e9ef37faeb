// Who is signed in: the button in the bar, the dialog, and a word to the page when it changes.

import { Refusal, identity, isSignedIn, needsSignIn, signIn, signOut } from "./client.js";
import { $ } from "./dom.js";
import { word } from "./words.js";

const dialog = $("sign-in");
let changed = () => {};

/** Make the button and the dialog work; `onChange` is called after every sign-in and sign-out. */
export function startSession(onChange) {
  changed = onChange;
  $("session").onclick = () => (isSignedIn() ? leave() : openSignIn());
  $("credentials").onsubmit = submit;
  $("cancel").onclick = () => dialog.close();
  drawSession();
}

export function openSignIn(problem = "") {
  drawSession();
  tell(problem);
  if (!dialog.open) dialog.showModal();
}

export function drawSession() {
  const button = $("session");
  button.textContent = word(isSignedIn() ? "signOut" : "signIn");
  button.title = isSignedIn() ? word("signedInAs", identity().name) : "";
}

async function leave() {
  const told = signOut();
  drawSession();
  changed();
  await told.catch(() => openSignIn(word("untold")));
}

async function submit(event) {
  event.preventDefault();
  const { username, password } = event.target.elements;
  try {
    await signIn(username.value, password.value);
    password.value = "";
    tell("");
    dialog.close();
    drawSession();
    changed();
  } catch (error) {
    const reason = error instanceof Refusal ? error.message : word("unreachable");
    tell(needsSignIn(error) ? word("refused") : reason);
    password.select();
  }
}

function tell(text) {
  $("sign-in-problem").textContent = text;
  $("sign-in-problem").hidden = !text;
}
