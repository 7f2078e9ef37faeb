// A picture to search by: chosen, dropped or pasted, made small, and kept for as long as this tab lives.

import { $ } from "./dom.js";

const MAX_SIDE_PX = 512;
const KEPT = 10;

export class UnreadablePicture extends Error {}

const kept = new Map(); // key of the address → Blob; the last few, so that Back finds them

/** Call `found(file)` whenever somebody gives the page a picture. */
export function listenForPictures(found) {
  $("picture").onchange = ({ target }) => {
    if (target.files[0]) found(target.files[0]);
    target.value = "";
  };
  addEventListener("paste", (event) => {
    const file = [...event.clipboardData.files].find(({ type }) => type.startsWith("image/"));
    if (file) found(file);
  });
  listenForDrops(found);
}

function listenForDrops(found) {
  let depth = 0; // entering a child is also leaving its parent
  const over = (is) => { document.body.classList.toggle("dropping", is); };
  addEventListener("dragenter", (event) => {
    event.preventDefault();
    depth += 1;
    over(true);
  });
  addEventListener("dragleave", () => {
    depth = Math.max(0, depth - 1);
    over(depth > 0);
  });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    depth = 0;
    over(false);
    if (event.dataTransfer.files[0]) found(event.dataTransfer.files[0]);
  });
}

/** Keep a picture; returns the key under which the address names it. */
export async function keep(file) {
  const blob = await shrunk(file);
  const key = crypto.getRandomValues(new Uint32Array(1))[0].toString(36);
  kept.set(key, blob);
  if (kept.size > KEPT) kept.delete(kept.keys().next().value);
  return key;
}

export const keptPicture = (key) => kept.get(key) ?? null;

/** Show in the search field what is searched by; null: nothing. */
export function preview(blob) {
  const image = $("preview");
  if (image.src) URL.revokeObjectURL(image.src);
  $("asked-picture").hidden = !blob;
  if (blob) image.src = URL.createObjectURL(blob);
  else image.removeAttribute("src");
}

// A photo of a phone has megabytes; the model sees a fraction of them.
async function shrunk(file) {
  const bitmap = await createImageBitmap(file).catch(() => { throw new UnreadablePicture(); });
  const scale = Math.min(1, MAX_SIDE_PX / Math.max(bitmap.width, bitmap.height));
  if (scale === 1 && file.type === "image/jpeg") return file;
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext("2d");
  context.fillStyle = "white"; // what is transparent was photographed on nothing
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => { canvas.toBlob(resolve, "image/jpeg", 0.92); });
}
