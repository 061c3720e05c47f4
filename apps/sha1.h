/* SHA-1 (RFC 3174) of a short message. It proves nothing any more; the opening handshake of
 * WebSockets asks for it. Written out here, because a cryptographic library for one call would be
 * the larger thing to depend on. */
#ifndef TAPGLASS_SHA1_H
#define TAPGLASS_SHA1_H

#include <stddef.h>
#include <stdint.h>

#define SHA1_BYTES 20u

void sha1(const void *data, size_t n, uint8_t out[SHA1_BYTES]);

#endif
