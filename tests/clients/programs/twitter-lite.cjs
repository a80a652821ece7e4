"use strict";
const Twitter = require("twitter-lite");
const { stage, consent, assert } = require("./stage.cjs");

(async () => {
  const keys = { consumer_key: stage.api_key, consumer_secret: stage.api_secret };
  const begun = await new Twitter(keys).getRequestToken(stage.callback);
  assert.equal(begun.oauth_callback_confirmed, "true");
  const page = `https://api.twitter.com/oauth/authenticate?oauth_token=${begun.oauth_token}`;
  const back = await consent(page);
  const token = await new Twitter(keys).getAccessToken(back);
  assert.equal(token.screen_name, stage.username);
  const own = { access_token_key: token.oauth_token, access_token_secret: token.oauth_token_secret };
  const api = new Twitter({ ...keys, ...own, version: "2", extension: false });
  for (let turn = 0; turn < 5; turn += 1) await api.get("users/me");
  const mentions = await api.get(`users/${stage.user_id}/mentions`, { max_results: 5 });
  assert.equal(mentions.data[0].id, stage.post_id);
  // It sends every post as a form, which X's newer API does not take, and the older one is closed.
  await assert.rejects(api.post("tweets", { text: "Hello!" }));
  await assert.rejects(new Twitter({ ...keys, ...own }).post("statuses/update", { status: "Hello!" }));
  const bearer = await new Twitter(keys).getBearerToken();
  const app = new Twitter({ bearer_token: bearer.access_token, version: "2", extension: false });
  await app.get("tweets", { ids: stage.post_id });
})();
