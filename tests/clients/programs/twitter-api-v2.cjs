"use strict";
const { TwitterApi } = require("twitter-api-v2");
const { stage, consent, assert } = require("./stage.cjs");

async function use(api, text) {
  const me = await api.v2.me({ "user.fields": ["created_at", "public_metrics"] });
  assert.equal(me.data.id, stage.user_id);
  const mentions = await api.v2.userMentionTimeline(stage.user_id, {
    max_results: 5,
    expansions: ["author_id"],
    "tweet.fields": ["created_at", "entities"],
  });
  assert.equal(mentions.data.data[0].id, stage.post_id);
  const made = await api.v2.reply(text, stage.post_id);
  await api.v2.singleTweet(made.data.id);
  await api.v2.deleteTweet(made.data.id);
}

(async () => {
  const keys = { appKey: stage.api_key, appSecret: stage.api_secret };
  const link = await new TwitterApi(keys).generateAuthLink(stage.callback);
  const back = await consent(link.url);
  const between = new TwitterApi({
    ...keys,
    accessToken: link.oauth_token,
    accessSecret: link.oauth_token_secret,
  });
  const { client: signed } = await between.login(back.oauth_verifier);
  await use(signed, "Hello by OAuth 1.0a");

  const app = new TwitterApi({ clientId: stage.client_id, clientSecret: stage.client_secret });
  const scope = ["tweet.read", "tweet.write", "users.read", "offline.access"];
  const asked = app.generateOAuth2AuthLink(stage.callback, { scope });
  const { code, state } = await consent(asked.url);
  assert.equal(state, asked.state);
  const { client, refreshToken } = await app.loginWithOAuth2({
    code,
    codeVerifier: asked.codeVerifier,
    redirectUri: stage.callback,
  });
  await use(client, "Hello by OAuth 2.0");
  const { client: renewed } = await app.refreshOAuth2Token(refreshToken);
  await renewed.v2.me();
})();
