// Creates and finds DOM nodes.
export function el(name, properties = {}, ...children) {
  const { data = {}, ...rest } = properties;
  const node = Object.assign(document.createElement(name), rest);
  Object.assign(node.dataset, data);
  node.append(...children);
  return node;
}

export function svg(name, attributes = {}, ...children) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, v] of Object.entries(attributes)) node.setAttribute(key, v);
  node.append(...children);
  return node;
}

/** {id: node} of all nodes inside root that have an id. */
export const ids = (root) => Object.fromEntries([...root.querySelectorAll('[id]')].map((node) => [node.id, node]));
