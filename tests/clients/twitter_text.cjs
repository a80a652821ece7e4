// Answers with the npm package twitter-text, X's published rules for texts (make_text_data.py calls it).
// domains: prints X's top-level domains. judge: reads a JSON list of texts, prints what X reads in each.
"use strict";
const fs = require("fs");
const { createRequire } = require("module");

const load = createRequire(`${process.cwd()}/.cache/clients/`);
const text = load("twitter-text");

function domains(name) {
  const source = load(`twitter-text/dist/regexp/${name}.js`).source;
  return source.replace(/\(\?=.*$/, "").replace(/[(?:)]/g, "").split("|").filter(Boolean).sort();
}

function points(string, position) {
  return Array.from(string.slice(0, position)).length;
}

function judge(written) {
  const entities = text.extractEntitiesWithIndices(written);
  const span = (entity) => entity.indices.map((position) => points(written, position));
  return {
    text: written,
    weight: text.parseTweet(written).weightedLength,
    links: text.extractUrlsWithIndices(written).map((one) => [one.url, ...span(one)]),
    names: entities.filter((one) => one.screenName && !one.listSlug).map((one) => [one.screenName, ...span(one)]),
    cashtags: entities.filter((one) => one.cashtag).map((one) => one.cashtag),
    hashtags: entities.filter((one) => one.hashtag).map((one) => [one.hashtag, ...span(one)]),
  };
}

const version = load("twitter-text/package.json").version;
const body = process.argv[2] === "domains"
  ? { generic: domains("validGTLD"), countries: domains("validCCTLD") }
  : { texts: JSON.parse(fs.readFileSync(0, "utf8")).map(judge) };
console.log(JSON.stringify({ version, ...body }));
