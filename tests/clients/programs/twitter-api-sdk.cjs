"use strict";
const { Client, auth } = require("twitter-api-sdk");
const { stage, consent, assert } = require("./stage.cjs");

(async () => {
  for (const how of [
    { code_challenge_method: "s256" },
    { code_challenge_method: "plain", code_challenge: "test" },
  ]) {
    const user = new auth.OAuth2User({
      client_id: stage.client_id,
      client_secret: stage.client_secret,
      callback: stage.callback,
      scopes: ["tweet.read", "tweet.write", "users.read", "offline.access"],
    });
    const { code } = await consent(user.generateAuthURL({ state: "my-state", ...how }));
    await user.requestAccessToken(code);
    const client = new Client(user);
    const me = await client.users.findMyUser();
    assert.equal(me.data.id, stage.user_id);
    const mentions = await client.tweets.usersIdMentions(stage.user_id, {
      max_results: 5,
      expansions: ["author_id"],
    });
    assert.equal(mentions.data[0].id, stage.post_id);
    const made = await client.tweets.createTweet({
      text: `Hello, ${how.code_challenge_method}`,
      reply: { in_reply_to_tweet_id: stage.post_id },
    });
    await client.tweets.deleteTweetById(made.data.id);
    await user.refreshAccessToken();
    await client.users.findMyUser();
    await user.revokeAccessToken();
  }
})();
