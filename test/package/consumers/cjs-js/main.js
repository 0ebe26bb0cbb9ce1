'use strict';
const express = require('express');
const all = require('express-oauth2-resource-server');
const { auth, requireScope, resourceServer } = require('express-oauth2-resource-server');
require('express-oauth2-resource-server/typed-request');
const { ask, options } = require('../token.cjs');

const app = express();
app.use(resourceServer(options));
app.get('/pictures', requireScope('pictures:read'), (req, res) => void res.json({ owner: auth(req).claims.sub }));

void (async () => {
  const imported = await import('express-oauth2-resource-server');
  const oneCopy = Object.keys(imported).every((name) => all[name] === imported[name]);
  console.log(JSON.stringify({ node: process.version, names: Object.keys(all), oneCopy, answers: await ask(app) }));
})();
