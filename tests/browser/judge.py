"""What a browser is asked about a page it shows: language, title, landmarks, labels, order, contrast, width.

Source: WCAG 2.2, 1.3.1, 1.3.2, 1.4.3, 1.4.10, 2.4.2, 2.4.6, 3.1.1, 4.1.2.
"""

from __future__ import annotations

JUDGE = r"""
() => {
  const faults = [];
  const fault = (text) => faults.push(text);
  const all = (wanted) => [...document.querySelectorAll(wanted)];
  const shown = (each) => each.getClientRects().length > 0;

  if (document.documentElement.lang !== "en") fault("no language");
  if (!document.title.trim()) fault("no title");
  if (all("main").length !== 1) fault("not one main landmark");
  if (all("h1").length !== 1) fault("not one h1");
  if (all("script, iframe, object, img, link").length) fault("something is loaded or run");
  if (document.scripts.length || document.styleSheets.length !== 1) fault("not one style, no script");
  const outside = [...document.body.children].filter((each) => each.tagName !== "MAIN" && shown(each));
  if (outside.length) fault("something stands outside of the landmark");
  const levels = all("h1,h2,h3,h4").map((each) => Number(each.tagName[1]));
  if (levels.some((level, at) => level > (levels[at - 1] ?? 0) + 1)) fault(`headings ${levels}`);

  for (const each of all("select, input:not([type=hidden]), textarea"))
    if (!each.labels.length) fault(`no label: ${each.name}`);
  for (const each of all("button, a"))
    if (!each.textContent.trim()) fault("a button or link without words");
  for (const each of all("[aria-labelledby]"))
    if (!document.getElementById(each.getAttribute("aria-labelledby"))) fault("labelled by nothing");
  const ids = all("[id]").map((each) => each.id);
  if (new Set(ids).size !== ids.length) fault("an id twice");

  // Reading order is the order on the screen.
  const blocks = all("h1, h2, p, dt, li, label").filter(shown).map((each) => each.getBoundingClientRect().top);
  if (blocks.some((top, at) => top < (blocks[at - 1] ?? -1) - 1)) fault("order on the screen differs");

  if (document.documentElement.scrollWidth > window.innerWidth) fault("wider than the screen");
  for (const each of all("main *").filter(shown)) {
    const box = each.getBoundingClientRect();
    if (box.right > window.innerWidth + 1 || box.left < -1) fault(`cut off: ${each.tagName}`);
    if (each.matches("button, select") && box.height < 24) fault("too small to hit");
  }

  // Colours as the browser computed them.
  const numbers = (colour) => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d");
    canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((part) => {
      const c = part / 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const supported = getComputedStyle(document.documentElement).colorScheme;
  const canvas = dark && supported.includes("dark") ? [18, 18, 18, 255] : [255, 255, 255, 255];
  const behind = (each) => {
    for (let at = each; at; at = at.parentElement) {
      const colour = numbers(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
      if (colour[3] !== 0) fault("a half transparent background");
    }
    return canvas;
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const each = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !shown(each)) continue;
    const style = getComputedStyle(each);
    const [a, b] = [light(numbers(style.color)), light(behind(each))].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < 4.5) fault(`contrast ${contrast.toFixed(1)}: ${walker.currentNode.textContent.trim()}`);
    if (parseFloat(style.fontSize) < 13) fault(`small: ${walker.currentNode.textContent.trim()}`);
  }
  return faults;
}
"""
