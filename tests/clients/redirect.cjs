// Sends what is meant for X to the recorder: node's own sockets, whatever library opens them.
// The certificate is checked as ever; NODE_EXTRA_CA_CERTS names the recorder's authority.
"use strict";
const net = require("net");
const plain = net.Socket.prototype.connect;
net.Socket.prototype.connect = function (...given) {
  const listed = Array.isArray(given[0]);
  const asked = listed ? given[0][0] : given[0];
  if (asked && Number(asked.port) === 443) {
    const there = { ...asked, host: "127.0.0.1", port: Number(process.env.RECORDER_PORT) };
    if (listed) given[0][0] = there;
    else given[0] = there;
  }
  return plain.apply(this, given);
};
