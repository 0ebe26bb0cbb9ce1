import { createRequire } from 'node:module';
import express from 'express';
import * as all from 'express-oauth2-resource-server';
import { auth, requireScope, resourceServer } from 'express-oauth2-resource-server';
import 'express-oauth2-resource-server/typed-request';
import { ask, options } from '../token.cjs';

const app = express();
app.use(resourceServer(options));
app.get('/pictures', requireScope('pictures:read'), (req, res) => void res.json({ owner: auth(req).claims.sub }));

const required = createRequire(import.meta.url)('express-oauth2-resource-server');
const oneCopy = Object.keys(all).every((name) => all[name] === required[name]);
console.log(JSON.stringify({ node: process.version, names: Object.keys(all), oneCopy, answers: await ask(app) }));
