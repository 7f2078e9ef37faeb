// Pictures of products: fetched when they come near the window, let go when they are far from it.

import { picture } from "./client.js";

const AT_ONCE = 6;
const NEAR = "800px 0px";

const products = new WeakMap(); // <img> → its product
const near = new WeakSet(); // <img> in or around the window
const waiting = new Set();
let busy = 0;

const sight = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) {
      near.add(target);
      waiting.add(target);
    } else {
      letGo(target);
    }
  }
  work();
}, { rootMargin: NEAR });

/** Fill `image` with the product's picture whenever it is near the window. */
export function showPicture(image, product) {
  products.set(image, product);
  image.onload = () => { image.classList.add("there"); };
  sight.observe(image);
}

/** Forget the pictures under `root`, which is about to leave the page. */
export function forgetPictures(root) {
  for (const image of root.querySelectorAll("img")) {
    sight.unobserve(image);
    letGo(image);
  }
}

function letGo(image) {
  near.delete(image);
  waiting.delete(image);
  if (image.src.startsWith("blob:")) URL.revokeObjectURL(image.src);
  image.removeAttribute("src");
  image.classList.remove("there");
}

function work() {
  for (const image of waiting) {
    if (busy === AT_ONCE) return;
    waiting.delete(image);
    busy += 1;
    fill(image).finally(() => {
      busy -= 1;
      work();
    });
  }
}

async function fill(image) {
  const { id, imageUrl } = products.get(image);
  if (imageUrl && await loads(image, imageUrl)) return;
  if (!near.has(image)) return;
  // No picture, no server: the card says so by its blank place, and the next search says why.
  const blob = await picture(id).catch(() => null);
  if (!near.has(image)) return;
  image.closest(".picture")?.classList.toggle("missing", !blob);
  if (blob) image.src = URL.createObjectURL(blob);
}

// A link is good for some minutes, which a reader may have let pass; then it is asked for with the token.
function loads(image, url) {
  image.src = url;
  return image.decode().then(() => true, () => false);
}
