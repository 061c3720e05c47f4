/* The opening handshake of WebSockets (RFC 6455 4.2), and who may open one. Pure. */
#ifndef TAPGLASS_WS_HANDSHAKE_H
#define TAPGLASS_WS_HANDSHAKE_H

#include "http_parse.h"

#define WS_ACCEPT_BYTES 29u /* with the NUL */

/* [6455 4.2.1, 4.2.2] 101, with the value of Sec-WebSocket-Accept in accept; 426: no request for a
 * WebSocket of version 13; 400: something is missing or malformed; 403: a page of another origin
 * asks. */
int ws_handshake(const struct http_request *q, const char *head, char accept[WS_ACCEPT_BYTES]);

/* Whether a page with this Origin may speak to a server that it calls host: the same authority, and
 * that one an address or a name without dots, so that no name of the DNS, which an attacker can let
 * point to us, will do. */
bool ws_origin_ok(const char *origin, size_t n, const char *host, size_t host_n);

#endif
