// What queries of every kind are put together from.

export function element(tag, attributes = {}, ...inside) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...inside);
  return made;
}

export const key = (name) => element("kbd", { "aria-hidden": "true" }, name);

export const button = (attributes, ...inside) => element("button", { type: "button", ...attributes }, ...inside);

// The canvas of one option, with what stands below it.
export function clip(id, label, ...below) {
  const canvas = element("canvas", { id, role: "img", "aria-label": label, width: 3, height: 2 });
  return element("figure", { "data-option": id }, canvas, ...below);
}

// The same, for whoever has keys and for whoever holds a phone upright.
export const told = (keys, touch) => [
  element("span", { class: "beside" }, keys), element("span", { class: "stacked" }, touch),
];
