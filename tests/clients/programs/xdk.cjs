"use strict";
const { Client, OAuth1, OAuth2, generateCodeChallenge, generateCodeVerifier } = require("@xdevplatform/xdk");
const { stage, consent, assert } = require("./stage.cjs");

async function use(client, text) {
  const me = await client.users.getMe({ postFields: ["id"], userFields: ["public_metrics"] });
  assert.equal(me.data.id, stage.user_id);
  const mentions = await client.users.getMentions(stage.user_id, { maxResults: 5 });
  assert.equal(mentions.data[0].id, stage.post_id);
  const made = await client.posts.create({ text, reply: { in_reply_to_tweet_id: stage.post_id } });
  await client.posts.delete(made.data.id);
}

(async () => {
  const keys = { apiKey: stage.api_key, apiSecret: stage.api_secret, callback: stage.callback };
  const login = new OAuth1(keys);
  const back = await consent(await login.startOAuthFlow());
  const token = await login.getAccessToken(back.oauth_verifier);
  // The object of the login goes on to sign with the request token's secret, so a new one is made.
  await use(new Client({ oauth1: new OAuth1({ ...keys, ...token }) }), "Hello by OAuth 1.0a");

  const oauth2 = new OAuth2({
    clientId: stage.client_id,
    clientSecret: stage.client_secret,
    redirectUri: stage.callback,
    scope: ["tweet.read", "tweet.write", "users.read", "offline.access"],
  });
  const verifier = generateCodeVerifier();
  await oauth2.setPkceParameters(verifier, await generateCodeChallenge(verifier));
  const { code } = await consent(await oauth2.getAuthorizationUrl("my-state"));
  const tokens = await oauth2.exchangeCode(code, verifier);
  await use(new Client({ accessToken: tokens.access_token }), "Hello by OAuth 2.0");
  const renewed = await oauth2.refreshToken(tokens.refresh_token);
  await new Client({ accessToken: renewed.access_token }).users.getMe();
})();
