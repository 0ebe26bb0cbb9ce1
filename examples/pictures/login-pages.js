// @ts-check
// Where the person meets the authorization server: signs in, and says what the editor may do. The editor sees none of this.
import express from 'express';
import { EXAMPLE_PEOPLE, passwordIsRight } from './accounts.js';
import { consentPage, errorPage, loginPage } from './login-html.js';
import { sameOriginOnly } from './security-headers.js';

/**
 * @param {import('oidc-provider').Provider} provider
 * @param {string} issuer
 */
export function loginPages(provider, issuer) {
  const router = express.Router();
  router.use(sameOriginOnly(issuer));
  router.use(express.urlencoded({ extended: false, limit: '2kb' }));

  router.get('/:uid', async (req, res) => {
    const interaction = await details(req, res);
    if (interaction.prompt.name === 'login') res.send(loginPage(interaction.uid, EXAMPLE_PEOPLE));
    else res.send(consentPage(interaction));
  });

  router.post('/:uid/login', async (req, res) => {
    const { uid } = await details(req, res, 'login');
    const { name, password } = req.body ?? {};
    if (!passwordIsRight(name, password)) {
      res.status(401).send(loginPage(uid, EXAMPLE_PEOPLE, 'This name and this password do not belong together.'));
      return;
    }
    await provider.interactionFinished(req, res, { login: { accountId: name, remember: false } });
  });

  router.post('/:uid/consent', async (req, res) => {
    const { params, session } = await details(req, res, 'consent');
    const grant = new provider.Grant({ clientId: String(params['client_id']), accountId: String(session?.accountId) });
    const resource = String(params['resource']);
    for (const scope of String(params['scope']).split(' ')) {
      // The person may leave out a scope; then the editor gets a token without it. RFC 6749 section 3.3.
      if (scope === 'pictures:write' && req.body?.write !== 'yes') grant.rejectResourceScope(resource, scope);
      else if (scope.startsWith('pictures:')) grant.addResourceScope(resource, scope);
      else grant.addOIDCScope(scope);
    }
    const consent = { grantId: await grant.save() };
    await provider.interactionFinished(req, res, { consent }, { mergeWithLastSubmission: true });
  });

  router.post('/:uid/refuse', async (req, res) => {
    await details(req, res);
    const refusal = { error: 'access_denied', error_description: 'The person refused the request' };
    await provider.interactionFinished(req, res, refusal, { mergeWithLastSubmission: false });
  });

  router.use(
    /** @type {express.ErrorRequestHandler} */ (
      (error, _req, res, next) => {
        // A page that was left open too long, or came from another browser. Anything else is a mistake in this program.
        if (error?.name !== 'SessionNotFound') return next(error);
        res
          .status(400)
          .send(errorPage('expired', 'This page is too old. Go back to the photo editor and start again.'));
      }
    ),
  );

  /** @param {express.Request} req @param {express.Response} res @param {string} [prompt] that a form must belong to */
  async function details(req, res, prompt) {
    const interaction = await provider.interactionDetails(req, res);
    const isThis =
      interaction.uid === req.params['uid'] && (prompt ?? interaction.prompt.name) === interaction.prompt.name;
    if (!isThis) throw Object.assign(new Error('another interaction is going on'), { name: 'SessionNotFound' });
    return interaction;
  }

  return router;
}
