// What each program is given, and a person who agrees on the consent page.
"use strict";
const assert = require("assert");
const stage = JSON.parse(process.env.STAGE);

async function consent(page) {
  const asked = new URL(page);
  const answer = await fetch(`https://api.x.com${asked.pathname}${asked.search}`, {
    method: "POST",
    redirect: "manual",
    headers: { "content-type": "application/x-www-form-urlencoded", "x-by": "person" },
    body: new URLSearchParams({ as: stage.username, decision: "authorize" }).toString(),
  });
  assert.equal(answer.status, 302, await answer.text());
  return Object.fromEntries(new URL(answer.headers.get("location")).searchParams);
}

module.exports = { stage, consent, assert };
