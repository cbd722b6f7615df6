/** Signs eBay notifications with a real P-256 key, so that a receiver's verification is exercised and never faked. */

import { createSign, generateKeyPairSync, randomUUID } from 'node:crypto';

/** One signing key as eBay publishes it: `keyId` is the `kid` of the signature header. */
export type EbaySigner = {
  readonly keyId: string;
  /** The body of `GET /commerce/notification/v1/public_key/{kid}`. */
  readonly publicKey: { readonly key: string; readonly algorithm: 'ECDSA'; readonly digest: 'SHA1' };
  /** The value of `X-EBAY-SIGNATURE` for exactly this body. */
  sign(body: string): string;
};

/** A fresh key pair: a restarted sandbox publishes another key, as a key rotation does. */
export const createEbaySigner = (): EbaySigner => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const keyId = randomUUID();
  const base64 = publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
  return {
    keyId,
    publicKey: {
      // eBay publishes the key without line breaks: a receiver has to put them back before it is PEM.
      key: `-----BEGIN PUBLIC KEY-----${base64}-----END PUBLIC KEY-----`,
      algorithm: 'ECDSA',
      digest: 'SHA1',
    },
    sign: (body) => {
      const signature = createSign('sha1').update(body).sign(privateKey, 'base64');
      const header = { alg: 'ecdsa', kid: keyId, signature, digest: 'SHA1' };
      return Buffer.from(JSON.stringify(header)).toString('base64');
    },
  };
};
