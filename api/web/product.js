// One product, large: a dialog with its picture and everything that is known of it.

import { $, make } from "./dom.js";
import { forgetPictures, showPicture } from "./pictures.js";
import { valueName, word } from "./words.js";

const TOLD = ["brand", "masterCategory", "subCategory", "articleType", "baseColour", "gender", "season", "year", "usage", "owner"];
const dialog = $("product");

/** `onLike(product)` searches for more like the one that is shown. */
export function startProduct({ onLike }) {
  $("product-close").onclick = () => dialog.close();
  $("product-like").onclick = () => {
    const { shown } = dialog;
    dialog.close();
    onLike(shown);
  };
  dialog.onclick = ({ target }) => { if (target === dialog) dialog.close(); };
  dialog.onclose = () => forgetPictures(dialog);
}

export function openProduct(product) {
  dialog.shown = product;
  $("product-title").textContent = product.productDisplayName;
  const image = dialog.querySelector("img");
  image.alt = product.productDisplayName;
  const told = TOLD.filter((name) => product[name]);
  $("product-facts").replaceChildren(...told.flatMap((name) => [
    make("dt", {}, word(name)),
    make("dd", {}, valueName(String(product[name]))),
  ]));
  dialog.showModal();
  showPicture(image, product);
}
