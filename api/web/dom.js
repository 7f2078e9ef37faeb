// The little that is needed of a library: find an element, make one.

export const $ = (id) => document.getElementById(id);

/** An element with properties, `data-` attributes, ARIA and other attributes, and children; text stays text. */
export function make(tag, { data = {}, attributes = {}, ...properties } = {}, ...children) {
  const element = document.createElement(tag);
  return dress(element, { data, attributes, ...properties }, children);
}

/** The same for drawings. */
export function draw(tag, attributes = {}, ...children) {
  return dress(document.createElementNS("http://www.w3.org/2000/svg", tag), { attributes }, children);
}

/** A fresh copy of a template's element. */
export const copy = (id) => $(id).content.firstElementChild.cloneNode(true);

/** Whether somebody is writing into `element`, so that single keys are letters there. */
export const isWriting = (element) => element?.matches("input, textarea, select, [contenteditable]") ?? false;

function dress(element, { data = {}, attributes, ...properties }, children) {
  Object.assign(element, properties);
  Object.assign(element.dataset, data);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}
