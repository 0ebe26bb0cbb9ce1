// Peers that come without types.
declare module 'passport-http-bearer';
declare module 'passport-jwt';
declare module 'passport';
declare module 'get-jwks';
